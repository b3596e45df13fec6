//! The compatibility pages: what of Heroku's commands and endpoints works here, told by the scenarios that ran them.
//!
//! A command works if a scenario that holds ran it and it ended well; an endpoint, if one got an answer from it that was
//! no error and was as published. Neither is ever written by hand; what a page must add, the part that does not work yet
//! and where a trial by hand found it, stands in `e2e/partly.tsv`.

mod commands;
mod pages;
mod partly;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use commands::Commands;

use crate::Failure;
use partly::Partly;

/// Names of commands or endpoints, each with the scenario that saw it work.
pub(crate) type Seen = BTreeMap<String, &'static str>;

/// What the scenarios saw work.
#[derive(Debug, Default)]
pub(crate) struct Compatibility {
    commands: Seen,
    endpoints: Seen,
}

impl Compatibility {
    /// Takes in what a scenario that holds saw.
    pub(crate) fn saw(&mut self, scenario: &'static str, commands: BTreeSet<String>, endpoints: BTreeSet<String>) {
        for name in commands {
            self.commands.entry(name).or_insert(scenario);
        }
        for name in endpoints {
            self.endpoints.entry(name).or_insert(scenario);
        }
    }

    /// Writes the pages, or holds those that are there against what was seen. Answers a sentence.
    pub(crate) fn tell(&self, commands: &Commands, write: bool) -> Result<String, Failure> {
        let partly = Partly::read()?;
        let schema = schema_check::Schema::published();
        let endpoints: BTreeSet<&str> = schema.endpoints().collect();
        let pages = [
            ("cli.md", pages::commands(commands, &self.commands, &partly)),
            ("api.md", pages::endpoints(&endpoints, &self.endpoints, &partly)),
        ];
        let mut told = Vec::new();
        for (name, page) in pages {
            let path = folder().join(name);
            if write {
                fs::write(&path, &page.text)?;
            } else {
                still_true(&path, &page)?;
            }
            told.push(page.summary);
        }
        Ok(told.join("\n"))
    }
}

/// What a page says works must have been seen to work; what was seen beyond that is no lie, only unsaid.
fn still_true(path: &Path, page: &pages::Page) -> Result<(), Failure> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let claimed: BTreeSet<&str> = pages::claims(&text).collect();
    let seen: BTreeSet<&str> = pages::claims(&page.text).collect();
    let gone: Vec<_> = claimed.difference(&seen).copied().collect();
    if !gone.is_empty() {
        return Err(
            format!("{} says that these work, and no scenario saw it: {}", path.display(), gone.join(", ")).into()
        );
    }
    let new: Vec<_> = seen.difference(&claimed).copied().collect();
    if !new.is_empty() {
        println!("{} does not say yet that these work (make compatibility): {}", path.display(), new.join(", "));
    }
    Ok(())
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compatibility")
}
