//! The environment of a buildpack's programs, which is a contract: `STACK`, `SOURCE_VERSION`, `REQUEST_ID`, `HOME`, a
//! minimal `PATH`, and nothing of the app's config vars, which are files in `ENV_DIR`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use inside_contract::BuildRequest;

use crate::layout::Layout;
use crate::output::Output;

/// Variables by name.
pub(crate) type Environment = BTreeMap<String, String>;

/// `PATH` without anything of an app or a runtime.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Tells a built-in buildpack, also one that another buildpack calls, what the outside found and mounted:
/// `SLIPWAY_SOURCE_NPM=https://registry.example/`, `SLIPWAY_RUNTIME_NODE=22.23.3`.
const SOURCE: &str = "SLIPWAY_SOURCE_";
const RUNTIME: &str = "SLIPWAY_RUNTIME_";
/// Certificates of the image, which the outside may have extended by the operator's own.
pub(crate) const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What the first buildpack starts with.
pub(crate) fn first(request: &BuildRequest, layout: &Layout) -> Environment {
    let mut env = Environment::new();
    let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
    set("PATH", path_with_runtimes(request, layout));
    set("HOME", layout.app.display().to_string());
    set("LANG", "C.UTF-8".to_owned());
    set("STACK", request.stack.clone());
    set("REQUEST_ID", request.request_id.clone());
    set("DYNO", "build.1".to_owned());
    if let Some(version) = &request.source_version {
        set("SOURCE_VERSION", version.clone());
    }
    // The official buildpacks' own defaults (3 s and 30 s) suit one provider's network; ours may be far from a mirror.
    set("CURL_CONNECT_TIMEOUT", "30".to_owned());
    set("CURL_TIMEOUT", "180".to_owned());
    // The PHP buildpack appends to it.
    set("BUILDPACK_LOG_FILE", layout.work.join("buildpack.log").display().to_string());
    for (name, address) in &request.sources {
        set(&format!("{SOURCE}{}", name.to_uppercase()), address.clone());
    }
    for runtime in &request.runtimes {
        set(&format!("{RUNTIME}{}", runtime.name.to_uppercase()), runtime.version.clone());
    }
    env
}

fn path_with_runtimes(request: &BuildRequest, layout: &Layout) -> String {
    let folders = request.runtimes.iter().map(|runtime| layout.runtimes().join(&runtime.name).join("bin"));
    let mut parts: Vec<String> = folders.map(|folder| folder.display().to_string()).collect();
    parts.push(PATH.to_owned());
    parts.join(":")
}

/// Where the outside found a package source, if it did.
pub(crate) fn source<'a>(env: &'a Environment, name: &str) -> Option<&'a str> {
    env.get(&format!("{SOURCE}{}", name.to_uppercase())).map(String::as_str)
}

/// The version of a mounted runtime, if it is mounted.
pub(crate) fn runtime<'a>(env: &'a Environment, name: &str) -> Option<&'a str> {
    env.get(&format!("{RUNTIME}{}", name.to_uppercase())).map(String::as_str)
}

/// As one word of bash.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Writes `ENV_DIR`: one file per config var with the exact bytes of its value.
pub(crate) fn write_config_vars(folder: &Path, config_vars: &BTreeMap<String, String>) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, value) in config_vars {
        // The outside only hands over valid names; a name with a slash would be a file somewhere else.
        if name.contains('/') || name.starts_with('.') || name.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the config var name {name:?} is invalid"),
            ));
        }
        fs::write(folder.join(name), value)?;
    }
    Ok(())
}

/// Reads an `ENV_DIR` back, without the names a buildpack must not take over (they would change the build's own tools).
pub(crate) fn read_config_vars(folder: &Path) -> io::Result<Environment> {
    const LEFT_OUT: [&str; 10] = [
        "PATH",
        "GIT_DIR",
        "CPATH",
        "CPPATH",
        "LD_PRELOAD",
        "LIBRARY_PATH",
        "LD_LIBRARY_PATH",
        "LANG",
        "BUILD_DIR",
        "HOME",
    ];
    let mut vars = Environment::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vars),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !LEFT_OUT.contains(&name.as_str()) {
            vars.insert(name, String::from_utf8_lossy(&fs::read(entry.path())?).into_owned());
        }
    }
    Ok(vars)
}

/// Sources a buildpack's `export` file in bash and gives the environment after it, for the buildpacks that follow.
/// None if it ended with an error.
pub(crate) fn after_export(
    export: &Path,
    env: &Environment,
    folder: &Path,
    out: &Output,
) -> io::Result<Result<Environment, std::process::ExitStatus>> {
    // What the file prints goes where compile's output went; only `env` writes to the pipe.
    const SCRIPT: &str = "source \"$1\" >&2 && exec env -0";
    let output = Command::new("bash")
        .args(["-c", SCRIPT, "export"])
        .arg(export)
        .env_clear()
        .envs(env)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(out.stdio()?)
        .output()?;
    if !output.status.success() {
        return Ok(Err(output.status));
    }
    Ok(Ok(parse(&output.stdout)))
}

fn parse(listing: &[u8]) -> Environment {
    let own = ["_", "SHLVL", "PWD", "OLDPWD"];
    let pairs = listing.split(|byte| *byte == 0).filter_map(|pair| {
        let text = std::ffi::OsString::from_vec(pair.to_vec()).into_string().ok()?;
        let (name, value) = text.split_once('=')?;
        (!own.contains(&name)).then(|| (name.to_owned(), value.to_owned()))
    });
    pairs.collect()
}
