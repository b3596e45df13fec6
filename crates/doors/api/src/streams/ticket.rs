//! The sealed part of a stream's address.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::Store;
use vocabulary::Timestamp;

use crate::http::error::{Error, Result};

/// What an address gives access to, and until when.
#[derive(Debug, Serialize, Deserialize)]
struct Ticket<T> {
    to: T,
    until_micros: i64,
}

/// A ticket as text for an address.
pub(super) fn issue<T: Serialize>(store: &Store, context: &str, to: &T, good_for: Duration) -> Result<String> {
    let good_for = i64::try_from(good_for.as_micros()).unwrap_or(i64::MAX);
    let until_micros = Timestamp::now().micros().saturating_add(good_for);
    Ok(store.key().token(context, &Ticket { to, until_micros })?)
}

/// Reads a ticket back; one that is foreign or past its end finds nothing, so that the two look the same.
pub(super) fn admit<T: DeserializeOwned>(store: &Store, context: &str, text: &str) -> Result<T> {
    let ticket: Ticket<T> = store.key().open_token(context, text).map_err(|_| gone())?;
    if ticket.until_micros < Timestamp::now().micros() { Err(gone()) } else { Ok(ticket.to) }
}

/// The answer to an address that leads nowhere (any more).
pub(super) fn gone() -> Error {
    Error::no_such("This address leads nowhere, or its time is over.")
}
