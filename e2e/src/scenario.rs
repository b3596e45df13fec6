//! Scenarios, run one after the other on one platform.

use std::process::ExitCode;
use std::time::Instant;

use crate::compatibility::Compatibility;
use crate::{Client, Failure, Platform};

/// A promise of the product, acted out.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// What holds, in words with dashes.
    pub name: &'static str,
    /// Acts it out.
    pub act: fn(&Client) -> Result<(), Failure>,
}

/// Has the pages on compatibility written anew instead of held against what was seen.
const WRITE: &str = "--write-compatibility";

/// Runs the scenarios whose names contain the first argument, all without one; prints a runner's closing line. A run of
/// all of them holds the pages on compatibility against what it saw.
pub fn main(scenarios: &[Scenario]) -> ExitCode {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let platform = match Platform::start() {
        Ok(platform) => platform,
        Err(failure) => {
            println!("the platform did not come up: {failure}\n0 passed, 1 failed");
            return ExitCode::FAILURE;
        }
    };
    let (mut passed, mut failed, mut compatibility) = (0, Vec::new(), Compatibility::default());
    for scenario in scenarios.iter().filter(|scenario| scenario.name.contains(&filter)) {
        let begun = Instant::now();
        let outcome = Client::new(&platform).and_then(|client| (scenario.act)(&client));
        let outcome = and_the_schema(outcome, platform.witness().violations());
        let (commands, endpoints) = (platform.take_ran(), platform.witness().take_good());
        let took = begun.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                passed += 1;
                compatibility.saw(scenario.name, commands, endpoints);
                println!("scenario {} ... ok ({took:.1} s)", scenario.name);
            }
            Err(failure) => {
                println!("scenario {} ... FAILED ({took:.1} s)\n{failure}\n", scenario.name);
                failed.push(scenario.name);
            }
        }
    }
    if filter.is_empty() && failed.is_empty() {
        match compatibility.tell(platform.commands(), std::env::args().any(|argument| argument == WRITE)) {
            Ok(told) => println!("{told}"),
            Err(failure) => {
                println!("{failure}");
                failed.push("compatibility");
            }
        }
    }
    if !failed.is_empty() {
        println!("the platform's own log ended so:\n{}", platform.log_tail());
        println!("failed: {}", failed.join(", "));
    }
    println!("{}", platform.witness().summary());
    if let Err(failure) = platform.end() {
        println!("taking the platform down ... FAILED\n{failure}\n");
        failed.push("taking the platform down");
    }
    println!("{passed} passed, {} failed", failed.len());
    if failed.is_empty() && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A scenario holds if also every answer was as published.
fn and_the_schema(outcome: Result<(), Failure>, violations: Vec<String>) -> Result<(), Failure> {
    let told: Vec<String> = outcome.err().map(|failure| failure.to_string()).into_iter().chain(violations).collect();
    if told.is_empty() { Ok(()) } else { Err(told.join("\n").into()) }
}
