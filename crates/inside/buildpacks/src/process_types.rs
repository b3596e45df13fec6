//! Which process types an app has: its Procfile over what the last buildpack's `bin/release` offers.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use vocabulary::{ProcessType, ProcessTypes};

use crate::error::BuildError;
use crate::output::Output;

/// The types of the Procfile and those of the buildpack that it does not name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    procfile: BTreeMap<String, String>,
    defaults: BTreeMap<String, String>,
}

/// Reads the Procfile of the app, if there is one, and lays it over the buildpack's types.
pub(crate) fn merge(folder: &Path, offered: &BTreeMap<String, String>) -> Result<Merged, BuildError> {
    let procfile = read(&folder.join("Procfile"))?;
    let mut defaults = BTreeMap::new();
    for (name, command) in offered {
        name.parse::<ProcessType>()
            .map_err(|error| BuildError::Procfile(format!("the buildpack's process type {name:?}: {error}")))?;
        if !procfile.contains_key(name) && !command.trim().is_empty() {
            defaults.insert(name.clone(), command.clone());
        }
    }
    Ok(Merged { procfile, defaults })
}

fn read(path: &Path) -> Result<BTreeMap<String, String>, BuildError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(BuildError::io("reading the Procfile")(error)),
    };
    let types = ProcessTypes::from_procfile(&bytes).map_err(|error| BuildError::Procfile(error.to_string()))?;
    Ok(types.0.into_iter().map(|(name, command)| (name.to_string(), command)).collect())
}

impl Merged {
    /// Prints what was found, as Heroku does.
    pub(crate) fn show(&self, out: &Output) {
        let names = |types: &BTreeMap<String, String>| types.keys().cloned().collect::<Vec<_>>().join(", ");
        out.section("Discovering process types");
        let declared = if self.procfile.is_empty() { "(none)".to_owned() } else { names(&self.procfile) };
        out.text(&format!("Procfile declares types     -> {declared}"));
        if !self.defaults.is_empty() {
            out.text(&format!("Default types for buildpack -> {}", names(&self.defaults)));
        }
    }

    /// All of them, for the slug.
    pub(crate) fn into_all(self) -> BTreeMap<String, String> {
        let mut all = self.defaults;
        all.extend(self.procfile);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(types: &[(&str, &str)]) -> BTreeMap<String, String> {
        types.iter().map(|(name, command)| ((*name).to_owned(), (*command).to_owned())).collect()
    }

    #[test]
    fn the_procfile_wins_by_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Procfile"), "web: mine\nworker: w\n").unwrap();
        let merged = merge(folder.path(), &offered(&[("web", "theirs"), ("console", "c")])).unwrap();
        assert_eq!(merged.into_all(), offered(&[("console", "c"), ("web", "mine"), ("worker", "w")]));
    }

    #[test]
    fn without_a_procfile_the_buildpack_decides() {
        let folder = tempfile::tempdir().unwrap();
        let merged = merge(folder.path(), &offered(&[("web", "theirs")])).unwrap();
        assert_eq!(merged.into_all(), offered(&[("web", "theirs")]));
    }

    #[test]
    fn nonsense_fails_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Procfile"), "web: x\nhello\n").unwrap();
        let error = merge(folder.path(), &BTreeMap::new()).unwrap_err();
        assert_eq!(error.to_string(), "line 2 of the Procfile is not of the form `type: command`: \"hello\"");
        let folder = tempfile::tempdir().unwrap();
        assert!(merge(folder.path(), &offered(&[("no name", "x")])).is_err());
    }
}
