//! Ids of things that are in the program and in no table: stacks, regions, dyno sizes, an app's own domain.

use schema::Named;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use vocabulary::{Stack, Timestamp};

/// When they were "made": the day of the first release of this program, 2026-11-23.
pub(crate) const SINCE: Timestamp = Timestamp::from_micros(1_795_392_000_000_000);

/// The id of the thing `name` of a `kind`: the same on every install, at every start (UUID version 8 of a SHA-256).
pub(crate) fn id(kind: &str, name: &str) -> Uuid {
    let digest: [u8; 32] = Sha256::digest(format!("slipway/{kind}/{name}")).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The reference to a thing of the catalogue.
pub(crate) fn named(kind: &str, name: &str) -> Named {
    Named { id: id(kind, name), name: name.to_owned() }
}

/// The reference to a stack.
pub(crate) fn stack(stack: Stack) -> Named {
    named("stack", stack.name())
}

/// The generation of everything here: Heroku's word for dynos from slugs.
pub(crate) const GENERATION: &str = "cedar";

/// The reference to it.
pub(crate) fn generation() -> Named {
    named("generation", GENERATION)
}

/// Whether `identity`, an id or a name, is this thing.
pub(crate) fn is(identity: &str, kind: &str, name: &str) -> bool {
    identity == name || identity == id(kind, name).to_string()
}
