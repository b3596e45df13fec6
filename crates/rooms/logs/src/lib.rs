//! Logs: one stream of lines per app, gathered from every part and every dyno, kept for a while, read and followed.
//!
//! Knows lines, who follows them, and where a dyno's output stood; knows neither why a line was said nor how it
//! travels to a client. Every line is written to the app's segments on disk ([`segment`](mod@segment) draws them) and
//! given out from there: a reader that follows holds a place in a file and no lines, so a slow one costs nothing and
//! finds out by the ids what it missed. The newest 1,500 lines of an app are kept, as Heroku keeps them.
//!
//! A line of a dyno is stored together with its place in the dyno's ring, in one record. Whatever a crash cuts off is
//! therefore read from the ring again, and nothing twice.

mod book;
mod errors;
mod filter;
mod follow;
mod gather;
mod record;
mod segment;
mod tail;
mod text;

use std::path::PathBuf;
use std::sync::Arc;

use engine::Engine;
use loglines::Queue;
use vocabulary::{AppId, Timestamp};

use crate::book::Book;
pub use crate::errors::Culprit;
pub use crate::filter::Filter;
pub use crate::tail::Tail;

/// How many lines of an app are kept (Heroku Dev Center, "Logging": log history limits).
pub const HISTORY: usize = 1500;

/// The logs of every app; clones share them.
#[derive(Debug, Clone)]
pub struct Logs {
    book: Arc<Book>,
    engine: Option<Engine>,
}

impl Logs {
    /// Logs kept under `folder`, which is made when the first line comes; with the output of `engine`'s dynos.
    #[must_use]
    pub fn new(folder: PathBuf, engine: Option<Engine>) -> Self {
        Self { book: Arc::new(Book::new(folder)), engine }
    }

    /// Takes lines from the queue and from every dyno's ring. Ends, with all lines written, when no sink is left.
    pub async fn run(self, queue: Queue) {
        let output = async {
            match self.engine {
                Some(engine) => follow::follow(&engine, &self.book).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = gather::gather(&self.book, queue) => {}
            () = output => {}
        }
        self.book.flush();
    }

    /// The newest `lines` (at most 1,500) that pass, oldest first; with `tail`, then every new one. `after` skips
    /// lines up to and including that id.
    pub async fn read(&self, app: AppId, filter: Filter, lines: usize, tail: bool, after: Option<u64>) -> Tail {
        Tail::start(Arc::clone(&self.book), app, filter, lines.min(HISTORY), tail, after.unwrap_or(0)).await
    }

    /// When, to 10 minutes, and how often each error of the router or of dynos was told since a moment; of the last 24
    /// hours, and not from before this process began.
    #[must_use]
    pub fn errors(&self, app: AppId, culprit: &Culprit, since: Timestamp) -> Vec<(Timestamp, String, u64)> {
        self.book.errors().of(app, culprit, since, Timestamp::now())
    }

    /// Forgets a deleted app's lines. Readers of it end, and lines that still come are dropped.
    pub async fn forget(&self, app: AppId) {
        let book = Arc::clone(&self.book);
        if tokio::task::spawn_blocking(move || book.forget(app)).await.is_err() {
            tracing::error!(app.id = %app, "could not forget a log");
        }
    }

    /// Forgets every app but these: what a crash in the middle of a deletion left.
    pub async fn forget_others(&self, apps: Vec<AppId>) {
        let book = Arc::clone(&self.book);
        if tokio::task::spawn_blocking(move || book.forget_others(&apps)).await.is_err() {
            tracing::error!("could not look for logs of deleted apps");
        }
    }
}
