//! Which Python the app asks for: `runtime.txt` (deprecated), or `.python-version`, or the platform's default.

use std::fs;
use std::io;
use std::path::Path;

use inside_contract::{PythonRequirement, PythonVersion};

use super::{failures, meets};
use crate::builtin::Site;
use crate::environment::runtime;
use crate::error::BuildError;

const VERSION_FILE: &str = ".python-version";
const RUNTIME_FILE: &str = "runtime.txt";
/// The oldest minor version that is maintained (Python Developer's Guide, "Status of Python versions").
const OLDEST: (u32, u32) = (3, 10);

/// A requirement and the file it stands in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Empty for the default.
    pub(super) requirement: String,
    pub(super) file: Option<&'static str>,
}

/// What the app asks for; `runtime.txt` wins, as at Heroku.
pub(super) fn asked(folder: &Path) -> Result<Asked, BuildError> {
    let (text, file) = match (read(folder, RUNTIME_FILE)?, read(folder, VERSION_FILE)?) {
        (Some(text), _) => (of_runtime_file(&text)?, RUNTIME_FILE),
        (None, Some(text)) => (of_version_file(&text)?, VERSION_FILE),
        (None, None) => return Ok(Asked { requirement: String::new(), file: None }),
    };
    let requirement = text.parse().map_err(|_| failures::invalid_version(file, &text))?;
    if is_too_old(requirement) {
        return Err(failures::unsupported_version(file, &text));
    }
    Ok(Asked { requirement: text, file: Some(file) })
}

fn read(folder: &Path, name: &'static str) -> Result<Option<String>, BuildError> {
    match fs::read(folder.join(name)) {
        // Editors on Windows begin a file with a mark of its encoding.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim_start_matches('\u{feff}').to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BuildError::io(format!("reading {name}"))(error)),
    }
}

/// One version on a line of its own; blank lines and comments do not count.
fn of_version_file(text: &str) -> Result<String, BuildError> {
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    match lines.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(failures::no_version(VERSION_FILE)),
        several => Err(failures::several_versions(VERSION_FILE, several)),
    }
}

/// `python-3.13.5`
fn of_runtime_file(text: &str) -> Result<String, BuildError> {
    let text = text.trim();
    let version = text.strip_prefix("python-").filter(|version| version.parse::<PythonVersion>().is_ok());
    version.map(str::to_owned).ok_or_else(|| failures::invalid_runtime_file(text))
}

fn is_too_old(requirement: PythonRequirement) -> bool {
    match requirement {
        PythonRequirement::Default => false,
        PythonRequirement::Major(major) => major < OLDEST.0,
        PythonRequirement::Minor(major, minor) => (major, minor) < OLDEST,
        PythonRequirement::Exact(exact) => (exact.major, exact.minor) < OLDEST,
    }
}

/// The Python that is mounted, and why; prints it.
pub(super) fn mounted(site: &Site<'_>) -> Result<PythonVersion, BuildError> {
    let asked = asked(site.build)?;
    let text = runtime(site.env, "python").ok_or_else(|| failures::missing_runtime("Python"))?;
    let version: PythonVersion = text.parse().map_err(|_| failures::missing_runtime("Python"))?;
    if meets(&asked.requirement, text) != Some(true) {
        return Err(failures::wrong_runtime(&asked.requirement, text));
    }
    let out = site.out;
    match asked.file {
        None => {
            out.section(&format!("No Python version was specified. Using the platform's default: Python {version}"));
            out.text(&format!(
                "To choose your own, add a {VERSION_FILE} file with a version in it, such as {}.{}",
                version.major, version.minor
            ));
        }
        Some(file) => out.section(&format!("Using Python {version} specified in {file}")),
    }
    if asked.file == Some(RUNTIME_FILE) {
        out.text("");
        out.error(&failures::deprecated_runtime_file(version));
        out.text("");
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(files: &[(&str, &str)]) -> Result<(String, Option<&'static str>), String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        asked(folder.path()).map(|asked| (asked.requirement, asked.file)).map_err(|error| error.to_string())
    }

    #[test]
    fn one_case_per_form() {
        let version = |text: &str, file| Ok((text.to_owned(), Some(file)));
        assert_eq!(asks(&[]), Ok((String::new(), None)));
        for (text, expected) in
            [("3.13\n", "3.13"), ("3", "3"), ("# ours\n\n  3.12.7  \n", "3.12.7"), ("\u{feff}3.11\r\n", "3.11")]
        {
            assert_eq!(asks(&[(VERSION_FILE, text)]), version(expected, VERSION_FILE), "{text:?}");
        }
        assert_eq!(asks(&[(RUNTIME_FILE, "python-3.13.5\n")]), version("3.13.5", RUNTIME_FILE));
        let both = [(RUNTIME_FILE, "python-3.13.5"), (VERSION_FILE, "3.12")];
        assert_eq!(asks(&both), version("3.13.5", RUNTIME_FILE));
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for (file, text, message) in [
            (VERSION_FILE, "", "no Python version found in .python-version"),
            (VERSION_FILE, "3.12\n3.13\n", "several Python versions found in .python-version"),
            (VERSION_FILE, "pypy3.10", "\"pypy3.10\" in .python-version is no Python version"),
            (VERSION_FILE, ">=3.12", "\">=3.12\" in .python-version is no Python version"),
            (VERSION_FILE, "3.9", "Python 3.9 is no longer supported"),
            (VERSION_FILE, "2.7.18", "Python 2.7.18 is no longer supported"),
            (RUNTIME_FILE, "3.13.5", "\"3.13.5\" in runtime.txt is no Python version"),
            (RUNTIME_FILE, "python-3.13", "\"python-3.13\" in runtime.txt is no Python version"),
        ] {
            assert_eq!(asks(&[(file, text)]), Err(message.to_owned()), "{file}: {text:?}");
        }
    }
}
