//! The commands of the official command line, out of the manifest it ships with.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Failure;

/// Every command by its name, and the names that mean it.
#[derive(Debug)]
pub(crate) struct Commands {
    summaries: BTreeMap<String, String>,
    aliases: BTreeMap<String, String>,
    /// As in `11.10.0`.
    pub(crate) version: String,
}

impl Commands {
    /// Reads `oclif.manifest.json` beside the program `node_modules/.bin/heroku`.
    pub(crate) fn read(program: &Path) -> Result<Self, Failure> {
        let folder = program.parent().and_then(Path::parent).ok_or("the command lies in no package")?.join("heroku");
        let manifest: Value = serde_json::from_slice(&fs::read(folder.join("oclif.manifest.json"))?)?;
        let version = manifest["version"].as_str().ok_or("the manifest has no version")?.to_owned();
        let mut commands = Self { summaries: BTreeMap::new(), aliases: BTreeMap::new(), version };
        for (name, command) in manifest["commands"].as_object().ok_or("the manifest has no commands")? {
            commands.add(name, command);
        }
        Ok(commands)
    }

    fn add(&mut self, name: &str, command: &Value) {
        let names = |field: &str| command[field].as_array().cloned().unwrap_or_default();
        for alias in names("aliases").iter().chain(&names("hiddenAliases")).filter_map(Value::as_str) {
            self.aliases.insert(alias.to_owned(), name.to_owned());
        }
        if command["hidden"] != Value::Bool(true) {
            let summary = command["summary"].as_str().or(command["description"].as_str()).unwrap_or_default();
            self.summaries.insert(name.to_owned(), summary.lines().next().unwrap_or_default().to_owned());
        }
    }

    /// Those that `heroku help` shows, with a line on each.
    pub(crate) fn visible(&self) -> &BTreeMap<String, String> {
        &self.summaries
    }

    /// The command's own name for one that was typed.
    pub(crate) fn named<'a>(&'a self, typed: &'a str) -> &'a str {
        self.aliases.get(typed).filter(|_| !self.summaries.contains_key(typed)).map_or(typed, String::as_str)
    }
}
