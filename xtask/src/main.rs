//! Tasks of the house: `cargo xtask arrows` holds the manifests to the table in ARCHITECTURE.md.

mod arrows;

use std::process::ExitCode;

fn main() -> ExitCode {
    let task = std::env::args().nth(1);
    let result = match task.as_deref() {
        Some("arrows") => arrows::check(),
        _ => Err(vec!["usage: cargo xtask arrows".to_owned()]),
    };
    match result {
        Ok(told) => {
            say(&told);
            ExitCode::SUCCESS
        }
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| say(mistake));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the one place of this program that prints")]
fn say(text: &str) {
    println!("{text}");
}
