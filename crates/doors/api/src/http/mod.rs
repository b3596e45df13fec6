//! What every endpoint shares: the layers around it, its extractors, its lists and its errors.

pub(crate) mod accept;
pub(crate) mod attempts;
pub(crate) mod auth;
pub(crate) mod base;
pub(crate) mod body;
pub(crate) mod bucket;
pub(crate) mod client;
pub(crate) mod cors;
pub(crate) mod error;
pub(crate) mod etag;
pub(crate) mod guard;
pub(crate) mod head;
pub(crate) mod list;
pub(crate) mod panic;
pub(crate) mod password;
pub(crate) mod permitted;
pub(crate) mod range;
pub(crate) mod request_id;
pub(crate) mod scope;
pub(crate) mod second_factor;
pub(crate) mod state;
pub(crate) mod to_the_end;
