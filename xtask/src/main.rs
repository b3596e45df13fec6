//! Tasks of the house: `cargo xtask arrows` holds the manifests to the table in ARCHITECTURE.md, `cargo xtask licences`
//! holds the lock file to `deny.toml`, `cargo xtask up` is what `make up` does once everything is built, `cargo xtask on-postgres` runs the tests of the crates above the store
//! with every scratch store on a real server.

mod arrows;
mod licences;
mod on_postgres;
mod up;

use std::process::ExitCode;

fn main() -> ExitCode {
    let task = std::env::args().nth(1);
    let result = match task.as_deref() {
        Some("arrows") => arrows::check(),
        Some("licences") => licences::check(),
        Some("up") => up::up(),
        Some("on-postgres") => on_postgres::run(),
        _ => Err(vec!["usage: cargo xtask arrows | licences | up | on-postgres [ARGUMENTS OF CARGO TEST]".to_owned()]),
    };
    match result {
        Ok(told) => {
            say(&told);
            ExitCode::SUCCESS
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                say(mistake);
            }
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the one place of this program that prints")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}
