//! What works only in part: the one thing about compatibility that is told by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::Failure;

/// What is missing, by the name of the command or endpoint.
#[derive(Debug)]
pub(crate) struct Partly(BTreeMap<String, String>);

impl Partly {
    /// Reads `e2e/partly.tsv`: name, tab, what does not work; `#` begins a line that is for readers only.
    pub(crate) fn read() -> Result<Self, Failure> {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("partly.tsv"))?;
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let pairs = lines.map(|line| {
            let (name, what) = line.split_once('\t').ok_or_else(|| format!("partly.tsv: no tab in {line:?}"))?;
            Ok((name.to_owned(), what.to_owned()))
        });
        pairs.collect::<Result<_, String>>().map(Self).map_err(Into::into)
    }

    /// What of this one does not work.
    pub(crate) fn missing(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}
