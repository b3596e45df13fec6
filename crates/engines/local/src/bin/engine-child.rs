//! The engine's helpers as a program of their own, for the tests of this crate. The product's binary calls the same
//! functions behind its own subcommands.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((role, rest)) if role == "packer" => {
            local::images::packer_main(std::io::stdin().lock(), std::io::stdout().lock(), rest)
        }
        Some((role, _)) if role == "forwarder" => local::network::forwarder_main(),
        _ => ExitCode::FAILURE,
    }
}
