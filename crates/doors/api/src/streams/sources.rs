//! `/streams/sources`: where sources are uploaded to and read again.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use blobs::{Draft, Pin};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use uuid::Uuid;
use vocabulary::{AccountId, Digest};
use work::{Full, Places, Tasks};

use crate::http::base::Base;
use crate::http::error::{Error, Result};
use crate::http::path::Path;
use crate::http::state::{Shared, State as ApiState};
use crate::streams::ticket;

const CONTEXT: &str = "stream/source";
const PATH: &str = "/streams/sources/";
/// How long an address is good for.
const GOOD_FOR: Duration = Duration::from_hours(1);
/// The longest source in bytes (Heroku Dev Center, "Limits": 1 GB).
const LIMIT: u64 = 1024 * 1024 * 1024;
/// The most uploads remembered; then the oldest is forgotten.
const MOST_UPLOADS: usize = 1024;
/// Uploads at a time: of all accounts, and of one.
const AT_ONCE: (usize, usize) = (32, 8);
/// How long a client may send nothing.
const SILENCE: Duration = Duration::from_mins(1);
/// Pieces in flight between the network and the disk.
const IN_FLIGHT: usize = 8;

/// What an address is about.
#[derive(Debug, Serialize, Deserialize)]
enum Place {
    /// What will be, or was, uploaded under this id, by this account.
    Upload(Uuid, AccountId),
    /// A source of a build.
    Blob(Digest),
}

/// Which blob each upload became. It is kept in memory, for an hour: after a restart of control a source that was not
/// built yet is uploaded again. The pin keeps the blob; a build that has begun keeps it by its row.
#[derive(Debug)]
pub(crate) struct Sources {
    uploads: Arc<Mutex<HashMap<Uuid, (Pin, Instant)>>>,
    places: Places<AccountId>,
    /// One for each upload: lets go of it after its hour.
    tasks: Tasks,
}

impl Default for Sources {
    fn default() -> Self {
        Self { uploads: Arc::default(), places: Places::new(AT_ONCE.0, AT_ONCE.1), tasks: Tasks::default() }
    }
}

impl Sources {
    fn insert(&self, id: Uuid, blob: Pin) {
        let at = Instant::now();
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        if uploads.len() >= MOST_UPLOADS {
            let oldest = uploads.iter().min_by_key(|(_, (_, at))| *at).map(|(id, _)| *id);
            oldest.and_then(|id| uploads.remove(&id));
        }
        uploads.insert(id, (blob, at));
        let uploads = Arc::clone(&self.uploads);
        self.tasks.spawn(async move {
            tokio::time::sleep(GOOD_FOR).await;
            // A later upload to the same address has an hour of its own.
            uploads.lock().unwrap_or_else(PoisonError::into_inner).retain(|one, (_, then)| *one != id || *then != at);
        });
    }

    fn get(&self, id: Uuid) -> Option<Pin> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).get(&id).map(|(blob, _)| blob.clone())
    }
}

/// A new address for an account to upload to and read from.
pub(crate) fn new_url(state: &ApiState, base: &Base, account: AccountId) -> Result<String> {
    url(state, base, &Place::Upload(Uuid::new_v4(), account))
}

/// The address of a source a build was made from.
pub(crate) fn blob_url(state: &ApiState, base: &Base, digest: &Digest) -> Result<String> {
    url(state, base, &Place::Blob(digest.clone()))
}

/// The address of a source for somebody who may not read it: it leads nowhere.
pub(crate) fn no_url(base: &Base) -> String {
    base.url(PATH)
}

/// The blob behind an address of ours, to be held until a build of it is recorded; nothing for any other address, or
/// before the upload.
pub(crate) fn uploaded(state: &ApiState, url: &str) -> Option<Pin> {
    let (_, token) = url.split_once(PATH)?;
    blob(state, &ticket::admit(&state.store, CONTEXT, token).ok()?)
}

fn url(state: &ApiState, base: &Base, place: &Place) -> Result<String> {
    let token = ticket::issue(&state.store, CONTEXT, place, GOOD_FOR)?;
    Ok(base.url(&format!("{PATH}{token}")))
}

fn blob(state: &ApiState, place: &Place) -> Option<Pin> {
    match place {
        Place::Upload(id, _) => state.sources.get(*id),
        Place::Blob(digest) => Some(state.blobs.pin(digest)),
    }
}

/// `PUT /streams/sources/{token}`: the upload, once; a second one replaces the first.
pub(crate) async fn put(State(state): State<Shared>, Path(token): Path<String>, body: Body) -> Result<StatusCode> {
    let Place::Upload(id, account) = ticket::admit(&state.store, CONTEXT, &token)? else { return Err(ticket::gone()) };
    let _place = state.sources.places.take(&account).map_err(full)?;
    let blob = receive(body, state.blobs.draft()?).await?;
    state.sources.insert(id, blob);
    Ok(StatusCode::OK)
}

fn full(full: Full) -> Error {
    match full {
        Full::Own(limit) => Error::too_many(format!("Too many of your uploads are under way: {limit} at a time.")),
        Full::All => Error::busy("The platform has too many uploads under way. Try again."),
    }
}

/// `GET /streams/sources/{token}`
pub(crate) async fn get(State(state): State<Shared>, Path(token): Path<String>) -> Result<Response> {
    let place: Place = ticket::admit(&state.store, CONTEXT, &token)?;
    let blob = blob(&state, &place).ok_or_else(ticket::gone)?;
    let file = tokio::fs::File::from_std(state.blobs.get(&blob).map_err(|_| ticket::gone())?);
    let body = Body::from_stream(stream::unfold(file, next));
    Ok(([(CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

async fn next(mut file: tokio::fs::File) -> Option<(io::Result<Bytes>, tokio::fs::File)> {
    let mut piece = Vec::with_capacity(64 * 1024);
    match (&mut file).take(64 * 1024).read_to_end(&mut piece).await {
        Ok(0) => None,
        Ok(_) => Some((Ok(piece.into()), file)),
        Err(error) => Some((Err(error), file)),
    }
}

enum Piece {
    Bytes(Bytes),
    End,
}

/// Writes a body to the disk while it arrives. One that breaks off leaves nothing.
async fn receive(body: Body, draft: Draft) -> Result<Pin> {
    let (pieces, arriving) = mpsc::channel(IN_FLIGHT);
    let written = tokio::task::spawn_blocking(move || write(draft, arriving));
    let sent = send(body, pieces).await;
    let written = written.await.map_err(|error| Error::internal(&error))?;
    sent?;
    Ok(written?)
}

async fn send(body: Body, pieces: mpsc::Sender<Piece>) -> Result<()> {
    let mut body = body.into_data_stream();
    let mut bytes = 0;
    loop {
        let piece = tokio::time::timeout(SILENCE, body.next()).await;
        let Some(piece) = piece.map_err(|_| Error::bad_request("The upload stalled."))? else { break };
        let piece = piece.map_err(|_| Error::bad_request("The upload broke off."))?;
        bytes += piece.len() as u64;
        if bytes > LIMIT {
            return Err(Error::too_large(LIMIT));
        }
        if pieces.send(Piece::Bytes(piece)).await.is_err() {
            return Ok(()); // The writer gave up; its own error says why.
        }
    }
    // A writer that gave up meanwhile says so itself.
    drop(pieces.send(Piece::End).await);
    Ok(())
}

fn write(mut draft: Draft, mut pieces: mpsc::Receiver<Piece>) -> io::Result<Pin> {
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Piece::Bytes(bytes) => draft.write(&bytes)?,
            Piece::End => return Ok(draft.finish()?.0),
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
