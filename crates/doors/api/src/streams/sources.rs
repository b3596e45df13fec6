//! `/streams/sources`: where sources are uploaded to and read again.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use blobs::{Draft, Pin};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use store::uploads::{Room, Upload};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use uuid::Uuid;
use vocabulary::{AccountId, Digest, Timestamp};
use work::{Full, Places};

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
/// What of one account may wait to be built: 64 uploads, 4 GiB.
const ROOM: Room = Room { uploads: 64, bytes: 4 * 1024 * 1024 * 1024 };
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

/// Uploads under way. What was uploaded is a row of the store beside a blob, and outlives a restart.
#[derive(Debug)]
pub(crate) struct Sources {
    places: Places<AccountId>,
}

impl Default for Sources {
    fn default() -> Self {
        Self { places: Places::new(AT_ONCE.0, AT_ONCE.1) }
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

/// The blob behind an address of ours, to be held until a build of it is recorded; nothing for any other address, before
/// the upload, or once its bytes are gone.
pub(crate) async fn uploaded(state: &ApiState, url: &str) -> Result<Option<Pin>> {
    let Some((_, token)) = url.split_once(PATH) else { return Ok(None) };
    let Ok(place) = ticket::admit(&state.store, CONTEXT, token) else { return Ok(None) };
    let blob = blob(state, &place).await?;
    // Held from here on; what was collected just before is not there to be built.
    Ok(blob.filter(|blob| state.blobs.get(blob).is_ok()))
}

fn url(state: &ApiState, base: &Base, place: &Place) -> Result<String> {
    let token = ticket::issue(&state.store, CONTEXT, place, GOOD_FOR)?;
    Ok(base.url(&format!("{PATH}{token}")))
}

async fn blob(state: &ApiState, place: &Place) -> Result<Option<Pin>> {
    Ok(match place {
        Place::Upload(id, _) => {
            let micros = i64::try_from(GOOD_FOR.as_micros()).unwrap_or(i64::MAX);
            let since = Timestamp::from_micros(Timestamp::now().micros().saturating_sub(micros));
            let upload = store::uploads::get(&state.store, &id.to_string(), since).await?;
            upload.map(|upload| state.blobs.pin(&upload.blob))
        }
        Place::Blob(digest) => Some(state.blobs.pin(digest)),
    })
}

/// `PUT /streams/sources/{token}`: the upload, once; a second one replaces the first when it is whole.
pub(crate) async fn put(State(state): State<Shared>, Path(token): Path<String>, body: Body) -> Result<StatusCode> {
    let Place::Upload(id, account) = ticket::admit(&state.store, CONTEXT, &token)? else { return Err(ticket::gone()) };
    let _place = state.sources.places.take(&account).map_err(full)?;
    let (blob, bytes) = receive(body, state.blobs.draft()?).await?;
    let new = Upload {
        id: id.to_string(),
        account_id: account,
        blob: (*blob).clone(),
        bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        created_at: Timestamp::now(),
    };
    let mut write = state.store.write().await?;
    let has_room = store::uploads::place(&mut write, &new, ROOM).await?;
    if has_room {
        write.commit().await?;
    }
    drop(blob);
    // For the bytes of an older one, or of this one.
    state.wakers.retention.wake();
    if has_room { Ok(StatusCode::OK) } else { Err(no_room()) }
}

fn no_room() -> Error {
    let (uploads, bytes) = (ROOM.uploads, ROOM.bytes / (1024 * 1024 * 1024));
    Error::too_many(format!(
        "Too many of your uploads wait to be built: {uploads} at most, and {bytes} GB. Build them, or try again in an hour."
    ))
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
    let blob = blob(&state, &place).await?.ok_or_else(ticket::gone)?;
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
async fn receive(body: Body, draft: Draft) -> Result<(Pin, u64)> {
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

fn write(mut draft: Draft, mut pieces: mpsc::Receiver<Piece>) -> io::Result<(Pin, u64)> {
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Piece::Bytes(bytes) => draft.write(&bytes)?,
            Piece::End => return draft.finish(),
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
