//! Reading a log.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use loglines::LogLine;
use tokio::sync::watch;
use vocabulary::{AppId, Timestamp};

use crate::book::Book;
use crate::filter::Filter;
use crate::record::{Body, Entry};
use crate::segment::{self, View};
use crate::text;

/// How many lines are given out at once, and how many bytes of text.
const LINES: usize = 512;
const BYTES: usize = 128 * 1024;

/// A reader of an app's log: first recent lines, then, if tailing, new ones. It holds a place in a file, not lines.
#[derive(Debug)]
pub struct Tail {
    book: Arc<Book>,
    app: AppId,
    filter: Filter,
    place: Place,
    /// The last id to give out, without a tail.
    end: Option<u64>,
    /// `None` once there is nothing more to come.
    news: Option<watch::Receiver<u64>>,
}

/// Where a reader stands.
#[derive(Debug, Clone)]
struct Place {
    /// The file, by its first id.
    segment: u64,
    offset: u64,
    /// The id of the next line if none is missing.
    expected: u64,
    /// When the last line was said, for an L11.
    since: Timestamp,
}

/// What one look into the files found.
struct Found {
    lines: Vec<LogLine>,
    place: Place,
    /// Whether something was read, if only lines that do not pass.
    moved: bool,
}

impl Tail {
    pub(crate) async fn start(
        book: Arc<Book>,
        app: AppId,
        filter: Filter,
        lines: usize,
        tail: bool,
        after: u64,
    ) -> Self {
        let news = book.watch(app);
        let place = Place { segment: 0, offset: 0, expected: 1, since: Timestamp::now() };
        let mut reader = Self { book, app, filter, place, end: None, news };
        let Some(view) = reader.view().await else {
            reader.news = None;
            return reader;
        };
        reader.end = (!tail).then_some(view.newest);
        let filter = reader.filter.clone();
        let found = tokio::task::spawn_blocking(move || newest(&view, &filter, lines, after)).await;
        match found {
            Ok(Ok(place)) => reader.place = place,
            Ok(Err(error)) => reader.fail(&error),
            Err(error) => reader.fail(&error.into()),
        }
        reader
    }

    /// The next lines, and the id up to which the log was read (a line that does not pass may have it); `None` at the end: all recent lines were given, the app is gone, or
    /// its log cannot be read. A reader that was too slow finds a line that says how many were dropped (L11). May be
    /// dropped before it is ready without losing a line.
    pub async fn next(&mut self) -> Option<(u64, Vec<LogLine>)> {
        loop {
            self.news.as_mut()?.mark_unchanged();
            let view = self.view().await?;
            let (app, filter, place, end) = (self.app, self.filter.clone(), self.place.clone(), self.end);
            let found = tokio::task::spawn_blocking(move || look(app, &view, &filter, place, end)).await;
            let found = match found {
                Ok(Ok(found)) => found,
                Ok(Err(error)) => {
                    self.fail(&error);
                    return None;
                }
                Err(error) => {
                    self.fail(&error.into());
                    return None;
                }
            };
            self.place = found.place;
            if !found.lines.is_empty() {
                return Some((self.place.expected - 1, found.lines));
            }
            if !found.moved {
                if self.end.is_some() {
                    self.news = None;
                    return None;
                }
                // An error means that the app was deleted.
                self.news.as_mut()?.changed().await.ok()?;
            }
        }
    }

    async fn view(&self) -> Option<View> {
        let (book, app) = (Arc::clone(&self.book), self.app);
        tokio::task::spawn_blocking(move || book.view(app)).await.ok()?
    }

    fn fail(&mut self, error: &io::Error) {
        tracing::error!(%error, app.id = %self.app, "could not read a log");
        self.news = None;
    }
}

/// A file of the log; `None` if it was deleted meanwhile, or has not been begun.
fn open(view: &View, first: u64) -> io::Result<Option<File>> {
    match File::open(segment::path(&view.folder, first)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The place of the oldest of the newest `lines` that pass and come after an id, or the log's end without any.
fn newest(view: &View, filter: &Filter, lines: usize, after: u64) -> io::Result<Place> {
    let mut found: VecDeque<Place> = VecDeque::with_capacity(lines);
    let mut end = Place { segment: 0, offset: 0, expected: view.newest + 1, since: Timestamp::now() };
    for segment in view.segments.iter().copied() {
        let Some(file) = open(view, segment)? else { continue };
        let offset = segment::scan(&file, 0, |offset, entry| {
            let passes = matches!(entry.body, Body::Line { source, name, .. } if filter.passes(source, name));
            if passes && entry.id > after && lines > 0 {
                if found.len() == lines {
                    found.pop_front();
                }
                let since = Timestamp::from_micros(entry.time);
                found.push_back(Place { segment, offset, expected: entry.id, since });
            }
            // What came since the view was taken is met again by following.
            if entry.id >= view.newest { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        (end.segment, end.offset) = (segment, offset);
    }
    Ok(found.pop_front().unwrap_or(end))
}

/// Reads on from a place to the end of its file, or of a batch; at the end of a file it goes to the next one.
fn look(app: AppId, view: &View, filter: &Filter, mut place: Place, end: Option<u64>) -> io::Result<Found> {
    let mut lines = Vec::new();
    let done = end.is_some_and(|end| place.expected > end);
    let Some(oldest) = view.segments.iter().copied().find(|first| *first >= place.segment) else {
        return Ok(Found { lines, place, moved: false });
    };
    if done {
        return Ok(Found { lines, place, moved: false });
    }
    let mut moved = false;
    if oldest != place.segment {
        (place.segment, place.offset) = (oldest, 0);
        moved = true;
    }
    let (mut bytes, begin) = (0, place.offset);
    let mut walk = place.clone();
    if let Some(file) = open(view, place.segment)? {
        place.offset = segment::scan(&file, begin, |_, entry| {
            if end.is_some_and(|end| entry.id > end) {
                return ControlFlow::Break(());
            }
            bytes += take(app, filter, &mut walk, &entry, &mut lines);
            if lines.len() >= LINES || bytes >= BYTES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        place = Place { offset: place.offset, ..walk };
    }
    if place.offset == begin {
        // The view was taken before the file was read to its end, so a later file means that this one is complete.
        if let Some(next) = view.segments.iter().copied().find(|first| *first > place.segment) {
            (place.segment, place.offset) = (next, 0);
            moved = true;
        }
    } else {
        moved = true;
    }
    Ok(Found { lines, place, moved })
}

/// Takes one record; answers its bytes if it passes.
fn take(app: AppId, filter: &Filter, place: &mut Place, entry: &Entry<'_>, lines: &mut Vec<LogLine>) -> usize {
    let Body::Line { source, name, text } = entry.body else { return 0 };
    if entry.id < place.expected {
        return 0;
    }
    if entry.id > place.expected {
        lines.push(text::tail_overflow(app, entry.id - place.expected, place.since));
    }
    let time = Timestamp::from_micros(entry.time);
    (place.expected, place.since) = (entry.id + 1, time);
    if !filter.passes(source, name) {
        return 0;
    }
    lines.push(LogLine { app, time, source, dyno: name.to_owned(), text: text.to_owned() });
    text.len()
}
