//! The logs of all apps, and who waits for news of which.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use loglines::ring::Batch;
use loglines::{LogLine, Source};
use tokio::sync::watch;
use vocabulary::{AppId, DynoId, Timestamp};

use crate::errors::Errors;
use crate::record::{self, Place};
use crate::segment::{AppLog, View};
use crate::text;

/// How many deleted apps are remembered, so that a last line of one does not make its folder anew.
const FORGOTTEN: usize = 4096;

/// The logs of all apps. What it does takes the page cache's time, so it is called directly; what reads much or
/// deletes is called from a blocking task.
#[derive(Debug)]
pub(crate) struct Book {
    folder: PathBuf,
    state: Mutex<State>,
    errors: Mutex<Errors>,
}

#[derive(Debug, Default)]
struct State {
    /// A few hundred bytes for each app that said something since the start.
    apps: HashMap<AppId, AppLog>,
    /// Apps with lines that wait to be written.
    unwritten: HashSet<AppId>,
    /// Told the newest id of a followed app. Dropped when the app is forgotten.
    tails: HashMap<AppId, watch::Sender<u64>>,
    forgotten: VecDeque<AppId>,
    /// Failures to write since the last look, and one of them.
    failures: u64,
    failure: Option<io::Error>,
}

/// Where a dyno's lines come from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) app: AppId,
    pub(crate) run: DynoId,
    pub(crate) name: String,
}

impl Book {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, state: Mutex::default(), errors: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics half-way through a change; if it did, the next line is still worth having.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts of errors.
    pub(crate) fn errors(&self) -> MutexGuard<'_, Errors> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes lines of the platform.
    pub(crate) fn add(&self, lines: &[LogLine]) {
        let mut state = self.state();
        let mut apps = HashSet::new();
        for line in lines {
            state.append(&self.folder, line, &text::clean(&line.text), None);
            apps.insert(line.app);
        }
        for app in apps {
            state.flush_if_followed(app);
        }
        // A forgotten app's last lines count for nothing.
        let mut errors = self.errors();
        for line in lines.iter().filter(|line| state.apps.contains_key(&line.app)) {
            errors.note(line);
        }
    }

    /// Takes what was read from a dyno's ring. `since` is when the line before was printed.
    pub(crate) fn add_output(&self, from: &Origin, batch: Batch, since: Option<Timestamp>) {
        let run = record::run(from.run);
        let mut state = self.state();
        if batch.dropped > 0 {
            let first = batch.records.first();
            let since = since.or(first.map(|first| first.time)).unwrap_or_else(Timestamp::now);
            let line = text::output_overflow(from.app, batch.dropped, since);
            let place = first.map(|first| Place { run, sequence: first.sequence - 1 });
            state.append(&self.folder, &line, &line.text, place);
        }
        for printed in batch.records {
            let text = text::printed(&printed.text);
            let (dyno, source) = (from.name.clone(), Source::App);
            let line = LogLine { app: from.app, time: printed.time, source, dyno, text: String::new() };
            let pieces = text::pieces(&text);
            for (index, piece) in pieces.iter().enumerate() {
                // Only with its last piece has a line been read.
                let sequence = if index + 1 == pieces.len() { printed.sequence } else { printed.sequence - 1 };
                state.append(&self.folder, &line, piece, Some(Place { run, sequence }));
            }
        }
        state.flush_if_followed(from.app);
    }

    /// How far a dyno's ring has been read.
    pub(crate) fn place(&self, from: &Origin) -> u64 {
        self.state().app(&self.folder, from.app).map_or(0, |log| log.place(record::run(from.run)))
    }

    /// Writes everything that waits.
    pub(crate) fn flush(&self) {
        let mut state = self.state();
        for app in std::mem::take(&mut state.unwritten) {
            state.flush(app);
        }
    }

    /// How often writing failed since the last call, and why once.
    pub(crate) fn take_failures(&self) -> Option<(u64, io::Error)> {
        let mut state = self.state();
        let failures = std::mem::take(&mut state.failures);
        state.failure.take().map(|failure| (failures, failure))
    }

    /// Writes what waits and answers what can be read; `None` if the app is forgotten or its log cannot be opened.
    pub(crate) fn view(&self, app: AppId) -> Option<View> {
        let mut state = self.state();
        state.flush(app);
        state.app(&self.folder, app).map(|log| log.view())
    }

    /// News of an app: its newest id. Ends when the app is forgotten.
    pub(crate) fn watch(&self, app: AppId) -> Option<watch::Receiver<u64>> {
        let mut state = self.state();
        if state.forgotten.contains(&app) {
            return None;
        }
        Some(state.tails.entry(app).or_insert_with(|| watch::channel(0).0).subscribe())
    }

    /// Deletes an app's log.
    pub(crate) fn forget(&self, app: AppId) {
        self.errors().forget(app);
        let mut state = self.state();
        state.apps.remove(&app);
        state.tails.remove(&app);
        state.forgotten.push_back(app);
        if state.forgotten.len() > FORGOTTEN {
            state.forgotten.pop_front();
        }
        // Still under the lock, or a line could come in between.
        match fs::remove_dir_all(self.folder.join(app.to_string())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::error!(%error, app.id = %app, "could not delete a log");
            }
            _ => {}
        }
    }

    /// Deletes the logs of all apps but these.
    pub(crate) fn forget_others(&self, apps: &[AppId]) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let found = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        found.filter(|app| !apps.contains(app)).for_each(|app| self.forget(app));
    }
}

impl State {
    fn app(&mut self, folder: &Path, app: AppId) -> Option<&mut AppLog> {
        if self.forgotten.contains(&app) {
            return None;
        }
        match self.apps.entry(app) {
            Entry::Occupied(entry) => Some(entry.into_mut()),
            Entry::Vacant(entry) => match AppLog::open(folder.join(app.to_string())) {
                Ok(log) => Some(entry.insert(log)),
                Err(error) => {
                    self.failures += 1;
                    self.failure = Some(error);
                    None
                }
            },
        }
    }

    fn append(&mut self, folder: &Path, line: &LogLine, text: &str, place: Option<Place>) {
        let Some(log) = self.app(folder, line.app) else { return };
        if let Err(error) = log.append(line, text, place) {
            self.failures += 1;
            self.failure = Some(error);
        }
        self.unwritten.insert(line.app);
    }

    /// A line that someone waits for goes out at once; others wait for company.
    fn flush_if_followed(&mut self, app: AppId) {
        if self.tails.contains_key(&app) {
            self.unwritten.remove(&app);
            self.flush(app);
        }
    }

    fn flush(&mut self, app: AppId) {
        let Some(log) = self.apps.get_mut(&app) else { return };
        if let Err(error) = log.flush() {
            self.failures += 1;
            self.failure = Some(error);
        }
        let newest = log.view().newest;
        if let Some(tail) = self.tails.get(&app) {
            let news = tail.receiver_count() > 0;
            if news {
                tail.send_if_modified(|told| std::mem::replace(told, newest) != newest);
            } else {
                self.tails.remove(&app);
            }
        }
    }
}
