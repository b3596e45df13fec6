//! Logs. (signatures; the room is being built)
#![allow(missing_docs, clippy::todo, unused_variables, clippy::unused_async, reason = "signatures first")]

use loglines::{LogLine, Source};
use vocabulary::AppId;

/// Which lines a reader wants; all given parts must match.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub source: Option<Source>,
    /// A dyno (`web.1`) or a process type (`web`).
    pub dyno: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Logs {/* folder, engine, channels */}

/// A reader of an app's log: first recent lines, then, if tailing, new ones.
#[derive(Debug)]
pub struct Tail {}

impl Logs {
    /// The newest `lines` (at most 1,500) that pass, oldest first; with `tail`, then every new one. `after` skips lines up to and
    /// including that id.
    pub async fn read(&self, app: AppId, filter: Filter, lines: usize, tail: bool, after: Option<u64>) -> Tail {
        todo!()
    }

    /// Forgets a deleted app's lines.
    pub async fn forget(&self, app: AppId) {
        todo!()
    }
}

impl Tail {
    /// The next lines with the id of the last one; None at the end. A reader that was too slow finds a line that says how
    /// many were dropped (L11).
    pub async fn next(&mut self) -> Option<(u64, Vec<LogLine>)> {
        todo!()
    }
}
