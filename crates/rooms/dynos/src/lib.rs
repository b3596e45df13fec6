//! Dynos. (signatures; the room is being built)
#![allow(missing_docs, clippy::todo, unused_variables, clippy::unused_async, reason = "signatures first")]

use store::apps::App;
use store::formation::Formation;
use vocabulary::{DynoName, DynoSize, ProcessType};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Message for 422 invalid_params.
    #[error("{0}")]
    Invalid(String),
    /// For 404: what was not found.
    #[error("Couldn't find that {0}.")]
    NotFound(&'static str),
}

/// A quantity as the API takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    Exactly(u32),
    /// `"+1"`, `"-1"`.
    By(i64),
}

#[derive(Debug, Clone)]
pub struct Scale {
    pub process_type: ProcessType,
    pub quantity: Option<Quantity>,
    pub size: Option<DynoSize>,
}

/// Which dynos a restart or stop means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    All,
    Type(ProcessType),
    One(DynoName),
}

#[derive(Debug, Clone)]
pub struct Dynos {/* store, wakers, logs, engine, departures, settings */}

impl Dynos {
    /// Changes the formation, all or nothing. A type the current slug does not have is `Error::NotFound("process type")`.
    /// Writes `app[api]: Scaled to web@1:Standard-1X worker@0:… by user EMAIL`.
    pub async fn scale(&self, app: &App, updates: &[Scale], email: &str) -> Result<Vec<Formation>, Error> {
        todo!()
    }

    /// Asks for a restart. Answers when it is recorded.
    pub async fn restart(&self, app: &App, which: &Which, email: &str) -> Result<(), Error> {
        todo!()
    }

    /// The reconciler; runs for ever.
    pub async fn run(self) {
        todo!()
    }
}
