//! Rows as resources: how a row of the store looks in the Platform API, in one place for all who show one. The API
//! answers with them, and webhooks are told of them, so both look alike.
//!
//! Knows rows, the API's fields and under which names things are reached. Knows no HTTP, reads nothing: whoever shows a
//! row brings what it refers to.

pub mod catalogue;
mod event;
mod hosts;
mod resources;

pub use event::{data, payload, previous};
pub use hosts::Hosts;
pub use resources::{
    AppOwner, app, app_reference, build, collaborator, domain, dyno, formation, meanings, region, release, team_owner,
    user,
};
