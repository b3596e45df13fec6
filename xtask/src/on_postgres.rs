//! The tests of the crates that use the store, on a server.

use std::process::Command;

/// The crates whose tests make scratch stores, beside the store itself, whose tests use both databases anyway.
const CRATES: [&str; 7] = ["access", "work", "api", "releases", "dynos", "routes", "retention"];

/// Starts a server and runs the tests on it, or those the arguments of `cargo test` name.
pub(crate) fn run() -> Result<String, Vec<String>> {
    let wrong = |error: std::io::Error| vec![error.to_string()];
    let server = scratch_postgres::Server::start().map_err(wrong)?;
    let mut given: Vec<String> = std::env::args().skip(2).collect();
    if !given.iter().any(|word| word == "--package" || word == "-p") {
        given.extend(CRATES.iter().flat_map(|name| ["--package".to_owned(), (*name).to_owned()]));
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut tests = Command::new(cargo);
    tests.arg("test").args(given).env("SLIPWAY_TEST_POSTGRES", server.plain_url());
    let passed = tests.status().map_err(wrong)?.success();
    let made = server.run("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'scratch%'").map_err(wrong)?;
    if !passed {
        return Err(vec!["tests failed on PostgreSQL".to_owned()]);
    }
    // Tests that made no store there would prove nothing.
    if made == "0" {
        Err(vec!["no test made a store on PostgreSQL".to_owned()])
    } else {
        Ok(format!("{made} stores on PostgreSQL"))
    }
}
