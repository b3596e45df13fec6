//! Acts: tests that end or break the platform, so that each has one of its own.

use std::process::ExitCode;
use std::time::Instant;

use crate::Failure;

/// How many lines of a failure the end tells again.
const LINES: usize = 6;

/// Runs those whose name holds the first argument, one after the other, and tells of each; fails if one did, or if there
/// is none of that name.
pub fn act<A>(acts: &[(&str, A)], run: impl Fn(&A) -> Result<(), Failure>) -> ExitCode {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let (mut passed, mut failed) = (0, Vec::new());
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
                println!("scenario {name} ... FAILED ({took:.1} s)\n{failure}\n");
                failed.push((*name, failure.to_string()));
            }
        }
    }
    // Once more at the end, in short: what follows a failure may have printed much.
    for (name, failure) in &failed {
        println!("failed: {name}\n{}", failure.lines().take(LINES).collect::<Vec<_>>().join("\n"));
    }
    println!("{passed} passed, {} failed", failed.len());
    if failed.is_empty() && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
