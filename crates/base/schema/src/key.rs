//! A public key.

use serde::Serialize;
use uuid::Uuid;

use crate::Time;

/// `/account/keys`.
#[derive(Debug, Clone, Serialize)]
pub struct Key {
    /// Its id.
    pub id: Uuid,
    /// What follows the key on its line.
    pub comment: String,
    /// As `comment`; deprecated.
    pub email: String,
    /// MD5 of the key, pairs of hexadecimal digits between colons.
    pub fingerprint: String,
    /// As it was uploaded.
    pub public_key: String,
    /// When it was added.
    pub created_at: Time,
    /// The same: a key does not change.
    pub updated_at: Time,
}
