//! Our buildpacks as programs of the classic contract, for a buildpack that calls another:
//! `/.slipway/buildpacks nodejs detect BUILD_DIR`, `… compile BUILD_DIR CACHE_DIR ENV_DIR`, `… release BUILD_DIR`.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::builtin::{BuiltIn, Site};
use crate::environment::Environment;
use crate::error::BuildError;
use crate::layout::Layout;
use crate::output::Output;

/// Runs one verb. The environment is the caller's, as the contract says.
pub(crate) fn run(name: &str, verb: &str, arguments: &[OsString], env: &Environment, out: &Output) -> ExitCode {
    match call(name, verb, arguments, env, out) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            out.error(&error.explain());
            ExitCode::FAILURE
        }
    }
}

fn call(name: &str, verb: &str, arguments: &[OsString], env: &Environment, out: &Output) -> Result<bool, BuildError> {
    let built_in = BuiltIn::from_name(name)?;
    match (verb, arguments) {
        ("detect", [build, ..]) => {
            let found = built_in.detect(Path::new(build));
            out.raw(&found.map(|name| format!("{name}\n")).unwrap_or_default());
            Ok(found.is_some())
        }
        ("compile", [build, cache, config_vars, ..]) => {
            compile(built_in, [build, cache, config_vars].map(Path::new), env, out).map(|()| true)
        }
        ("release", [build, ..]) => {
            let types = built_in.release(Path::new(build)).default_process_types;
            let json = serde_json::json!({ "default_process_types": types });
            out.raw(&format!("{json}\n"));
            Ok(true)
        }
        _ => {
            let given =
                io::Error::new(io::ErrorKind::InvalidInput, "detect, compile or release with its folders was expected");
            Err(BuildError::io("reading the command line")(given))
        }
    }
}

fn compile(built_in: BuiltIn, folders: [&Path; 3], env: &Environment, out: &Output) -> Result<(), BuildError> {
    let [build, cache, config_vars] = folders;
    let layout = Layout::inside();
    // `export` is left beside the config vars: the caller's own folder is not known to us.
    let own = config_vars.parent().unwrap_or(config_vars);
    built_in.compile(Site { build, cache, config_vars, own, env, layout: &layout, out })
}
