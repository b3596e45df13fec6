//! The engine's helpers as a program of their own, for the tests of this crate. The product's binary calls the same
//! functions behind its own subcommands.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((role, rest)) if role == "packer" => {
            local::images::packer_main(std::io::stdin().lock(), std::io::stdout().lock(), rest)
        }
        Some((role, _)) if role == "forwarder" => local::network::forwarder_main(),
        Some((role, [lists, cache, output])) if role == "stack" => stack(lists, cache, output),
        _ => ExitCode::FAILURE,
    }
}

/// Builds the stack that is named as the last part of LISTS.
fn stack(lists: &str, cache: &str, output: &str) -> ExitCode {
    let lists = std::path::PathBuf::from(lists);
    let plan = local::stack::StackBuild {
        name: lists.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        lists,
        cache: cache.into(),
        output: output.into(),
        suite: "trixie".to_owned(),
        mirror: None,
        ca_bundle: "/etc/ssl/certs/ca-certificates.crt".into(),
    };
    let mut out = std::io::stdout();
    // Whoever does not read the progress still gets the stack.
    let built = local::stack::build(&plan, &mut |line| drop(writeln!(out, "{line}")));
    match built {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "{error}"));
            ExitCode::FAILURE
        }
    }
}
