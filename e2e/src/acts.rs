//! Acts: tests that end or break the platform, so that each has one of its own.

use std::process::ExitCode;
use std::time::Instant;

use crate::Failure;

/// Runs those whose name holds the first argument, one after the other, and tells of each; fails if one did, or if there
/// is none of that name.
pub fn act<A>(acts: &[(&str, A)], run: impl Fn(&A) -> Result<(), Failure>) -> ExitCode {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let (mut passed, mut failed) = (0, 0);
    for (name, act) in acts.iter().filter(|(name, _)| name.contains(&filter)) {
        let begun = Instant::now();
        let outcome = run(act);
        let took = begun.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                passed += 1;
                println!("scenario {name} ... ok ({took:.1} s)");
            }
            Err(failure) => {
                failed += 1;
                println!("scenario {name} ... FAILED ({took:.1} s)\n{failure}\n");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
