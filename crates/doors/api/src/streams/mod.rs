//! Streams: addresses that hold their own right of access. Whoever has the address may read, as Heroku's clients send
//! no token to them; so it is sealed, names one thing and whom it was made for, and ends.

pub(crate) mod log;
pub(crate) mod output;
mod reader;
pub(crate) mod sources;
mod ticket;
