//! What is kept of a secret that only has to be known again: its SHA-256. Enough for secrets of 80 random bits or
//! more, which cannot be tried one by one; passwords are hashed by whoever takes them, slowly.

use sha2::{Digest as _, Sha256};
use vocabulary::{Digest, Secret};

/// The hash, hexadecimal.
pub(crate) fn of(secret: &Secret) -> String {
    Digest::from_bytes(&Sha256::digest(secret.reveal().as_bytes()).into()).as_str().to_owned()
}
