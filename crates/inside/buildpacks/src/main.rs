//! The buildpack runner: the one program of a Build instance, `/.slipway/buildpacks build`, and the built-in buildpacks
//! behind it.
//!
//! It knows the classic buildpack contract and the languages that are built in. It does not know apps, releases or the
//! platform: what it is told stands in a `BuildRequest`, what it found out in a `BuildReport` (`inside-contract`), and
//! everything it is given (source, buildpacks) is hostile. It never opens a connection itself; `git`, `curl`, `npm`,
//! pip and uv do, under the instance's egress rules.

mod buildpack;
mod builtin;
mod classic;
mod detect;
mod environment;
mod error;
mod fetch;
mod host;
mod layout;
mod meter;
mod nodejs;
mod output;
mod pack;
mod process_types;
mod python;
mod release;
mod sequence;
mod slugignore;
mod source;
mod stack_runtime;
mod static_site;
#[cfg(test)]
mod tests;
mod tree;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Ok(out) = host::standard_output() else { return ExitCode::FAILURE };
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    match words.as_slice() {
        ["build"] => host::build(&out),
        [inside_contract::STACK_RUNTIME, "python"] => host::stack_python(&out),
        [name, verb, ..] => {
            let env = std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
            classic::run(name, verb, arguments.get(2..).unwrap_or_default(), &env.collect(), &out)
        }
        _ => {
            out.error("Usage: buildpacks build | buildpacks NAME detect|compile|release FOLDER…");
            ExitCode::FAILURE
        }
    }
}
