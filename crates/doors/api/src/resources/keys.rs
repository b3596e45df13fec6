//! `/account/keys`: public SSH keys. They are kept and shown; git goes over HTTPS, so that none opens anything yet.

use access::Caller;
use access::action::ManageAccount;
use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use md5::{Digest as _, Md5};
use serde::Deserialize;
use store::keys::Key;

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key as SortKey, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};

const SORTS: &[Sort<Key>] = &[("id", |key| SortKey::text(&key.id))];
/// The most keys of one account.
const MOST: usize = 100;
/// The longest key with its comment in bytes: RSA with 16,384 bits has some 2,800.
const LONGEST: usize = 8 * 1024;

/// The kinds of key, and how many fields follow the kind's name in each (RFC 4253, 6.6; RFC 5656, 3.1; RFC 8709, 4;
/// OpenSSH, `PROTOCOL.u2f`).
const KINDS: [(&str, usize); 7] = [
    ("ssh-rsa", 2),
    ("ssh-ed25519", 1),
    ("ecdsa-sha2-nistp256", 2),
    ("ecdsa-sha2-nistp384", 2),
    ("ecdsa-sha2-nistp521", 2),
    ("sk-ssh-ed25519@openssh.com", 2),
    ("sk-ecdsa-sha2-nistp256@openssh.com", 3),
];

/// What `POST /account/keys` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    public_key: String,
}

/// `GET /account/keys`
pub(crate) async fn list(caller: Permitted<ManageAccount>, State(state): State<Shared>, range: Range) -> Result {
    let keys = store::keys::list(&state.store, caller.account.id).await?;
    list::answer(&range, keys, SORTS, shape)
}

/// `POST /account/keys`
pub(crate) async fn create(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<schema::Key>)> {
    let line = body.public_key.trim();
    let read = read(line).ok_or_else(|| Error::invalid("That is no public key as ssh-keygen writes it."))?;
    if store::keys::list(&state.store, caller.account.id).await?.len() >= MOST {
        return Err(Error::invalid(format!("An account has at most {MOST} keys.")));
    }
    let mut write = state.store.write().await?;
    let made = store::keys::create(&mut write, caller.account.id, &read.fingerprint, line, &read.comment).await;
    let made = made.map_err(|error| match error {
        store::Error::Taken(_) => Error::invalid("Fingerprint has already been taken."),
        error => error.into(),
    })?;
    write.commit().await?;
    Ok((StatusCode::CREATED, Json(shape(&made))))
}

/// `GET /account/keys/{key}`, by id or fingerprint.
pub(crate) async fn info(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
) -> Result<Json<schema::Key>> {
    Ok(Json(shape(&find(&state, &caller, &identity).await?)))
}

/// `DELETE /account/keys/{key}`, by id or fingerprint.
pub(crate) async fn delete(
    caller: Permitted<ManageAccount>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
) -> Result<Json<schema::Key>> {
    let key = find(&state, &caller, &identity).await?;
    let mut write = state.store.write().await?;
    store::keys::delete(&mut write, key.id).await?;
    write.commit().await?;
    Ok(Json(shape(&key)))
}

async fn find(state: &ApiState, caller: &Caller, identity: &str) -> Result<Key> {
    let own = store::keys::list(&state.store, caller.account.id).await?;
    let found = own.into_iter().find(|key| key.id.to_string() == identity || key.fingerprint == identity);
    found.ok_or_else(|| Error::not_found("key"))
}

/// What a line says of its key.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    fingerprint: String,
    comment: String,
}

/// Reads `KIND BASE64 COMMENT`; nothing if it is no key.
fn read(line: &str) -> Option<Line> {
    if line.len() > LONGEST || line.chars().any(char::is_control) {
        return None;
    }
    let mut words = line.splitn(3, ' ');
    let (kind, encoded) = (words.next()?, words.next()?);
    let (_, fields) = KINDS.iter().find(|(known, _)| *known == kind)?;
    let key = STANDARD.decode(encoded).ok()?;
    let all = fields_of(&key)?;
    let fits =
        all.first() == Some(&kind.as_bytes()) && all.len() == fields + 1 && all.iter().all(|one| !one.is_empty());
    fits.then(|| Line {
        fingerprint: Md5::digest(&key).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"),
        comment: words.next().unwrap_or_default().trim().to_owned(),
    })
}

/// A key's fields, each behind its length; nothing if they do not fill it exactly.
fn fields_of(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = vec![];
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        let (field, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        fields.push(field);
        bytes = rest;
    }
    Some(fields)
}

fn shape(key: &Key) -> schema::Key {
    schema::Key {
        id: key.id.uuid(),
        comment: key.comment.clone(),
        email: key.comment.clone(),
        fingerprint: key.fingerprint.clone(),
        public_key: key.public_key.clone(),
        created_at: key.created_at.into(),
        updated_at: key.created_at.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada@example.com";

    #[test]
    fn a_key_is_read_from_its_line() {
        let line = read(KEY).unwrap();
        assert_eq!(line.comment, "ada@example.com");
        assert_eq!(line.fingerprint.len(), 47);
        assert_eq!(read(KEY.rsplit_once(' ').unwrap().0).unwrap().comment, "");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for wrong in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 !!!!",
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f x",
            "ssh-dss AAAAB3NzaC1kc3M= x",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgME x",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            &KEY.replace(" ada", "\nssh-rsa"),
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
