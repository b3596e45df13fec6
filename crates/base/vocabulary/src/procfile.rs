//! The Procfile: which commands an app has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ProcessType;

/// Process types with their commands, as shell text run by `bash -c` inside the dyno.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcessTypes(pub BTreeMap<ProcessType, String>);

/// A line of a Procfile that is no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProcfile {
    /// A line has no `type: command` form.
    #[error("line {line} of the Procfile is not of the form `type: command`: {text:?}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// The line, cut at 80 characters.
        text: String,
    },
    /// The file is larger than any Procfile.
    #[error("the Procfile has more than 64 KiB")]
    TooLarge,
    /// The file is not text.
    #[error("the Procfile is not UTF-8 text")]
    NotText,
}

impl ProcessTypes {
    /// Reads a Procfile: `type: command` lines; empty lines and lines that start with `#` are skipped; of two lines
    /// for one type the last wins (Heroku Dev Center, "The Procfile").
    pub fn from_procfile(bytes: &[u8]) -> Result<Self, InvalidProcfile> {
        if bytes.len() > 64 * 1024 {
            return Err(InvalidProcfile::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| InvalidProcfile::NotText)?;
        let mut types = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, command) = entry(line)
                .ok_or_else(|| InvalidProcfile::Line { line: index + 1, text: line.chars().take(80).collect() })?;
            types.insert(name, command.to_owned());
        }
        Ok(Self(types))
    }

    /// The command of a process type.
    #[must_use]
    pub fn command(&self, process_type: &ProcessType) -> Option<&str> {
        self.0.get(process_type).map(String::as_str)
    }
}

fn entry(line: &str) -> Option<(ProcessType, &str)> {
    let (name, command) = line.split_once(':')?;
    let command = command.trim();
    (!command.is_empty()).then_some((name.trim().parse().ok()?, command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_comments_and_the_last_word() {
        let types =
            ProcessTypes::from_procfile(b"# one\nweb: node index.js\r\n\nworker:  sleep 1 \nweb: node a:b.js\n");
        let types = types.unwrap();
        assert_eq!(types.command(&ProcessType::web()), Some("node a:b.js"));
        assert_eq!(types.0.len(), 2);
    }

    #[test]
    fn nonsense_is_told_with_its_line() {
        let error = ProcessTypes::from_procfile(b"web: x\nnonsense\n").unwrap_err();
        assert_eq!(error.to_string(), "line 2 of the Procfile is not of the form `type: command`: \"nonsense\"");
        assert_eq!(ProcessTypes::from_procfile(&[0xff]), Err(InvalidProcfile::NotText));
    }
}
