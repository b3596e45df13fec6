//! Which package manager the app's files are for.

use std::path::Path;

use super::failures;
use crate::error::BuildError;

/// A package manager that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manager {
    Pip,
    Uv,
}

/// A manager's name, the file that speaks for it, and the manager if it is built in. In the order they are named in.
const FILES: [(&str, &str, Option<Manager>); 4] = [
    ("Pipenv", "Pipfile.lock", None),
    ("pip", "requirements.txt", Some(Manager::Pip)),
    ("Poetry", "poetry.lock", None),
    ("uv", "uv.lock", Some(Manager::Uv)),
];

impl Manager {
    /// The one manager whose file is there.
    pub(super) fn find(folder: &Path) -> Result<Self, BuildError> {
        let present = |file: &str| folder.join(file).is_file();
        let found: Vec<_> = FILES.into_iter().filter(|(_, file, _)| present(file)).collect();
        match found.as_slice() {
            [(_, _, Some(manager))] => Ok(*manager),
            [(name, file, None)] => Err(failures::other_manager(name, file)),
            [] if present("Pipfile") => Err(failures::other_manager("Pipenv", "Pipfile")),
            [] => Err(failures::no_manager(present("pyproject.toml"), present("setup.py"))),
            several => Err(failures::several_managers(
                &several.iter().map(|(name, file, _)| (*name, *file)).collect::<Vec<_>>(),
            )),
        }
    }

    /// Its program, and the name of its runtime.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pip => "pip",
            Self::Uv => "uv",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str]) -> Result<Manager, String> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        Manager::find(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn one_file_decides() {
        assert_eq!(found(&["requirements.txt", "pyproject.toml", "setup.py"]), Ok(Manager::Pip));
        assert_eq!(found(&["uv.lock", "pyproject.toml"]), Ok(Manager::Uv));
        for (files, message) in [
            (&["requirements.txt", "uv.lock"][..], "several package managers' files found: requirements.txt, uv.lock"),
            (&["Pipfile"], "Pipenv is not built in yet"),
            (&["Pipfile", "Pipfile.lock"], "Pipenv is not built in yet"),
            (&["poetry.lock", "pyproject.toml"], "Poetry is not built in yet"),
            (&["pyproject.toml"], "no file of a package manager found"),
            (&["app.py"], "no file of a package manager found"),
        ] {
            assert_eq!(found(files), Err(message.to_owned()), "{files:?}");
        }
    }
}
