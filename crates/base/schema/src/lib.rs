//! The shapes of the Platform API's resources, one file per resource, and the published schema they are checked
//! against.
//!
//! Knows field names and types; knows no rows, no HTTP and no rule. The field set is the union of the variants
//! `version=3` and `version=3.sdk`; a nullable field without a value is present as null, never left out (Platform API
//! Reference, "Parameters").

mod account;
mod app;
mod app_transfer;
mod authorization;
mod build;
mod buildpack;
mod collaborator;
mod domain;
mod dyno;
mod dyno_size;
mod error;
mod formation;
mod key;
mod log_session;
mod oauth_client;
mod oauth_token;
mod rate_limit;
mod reference;
mod region;
mod release;
mod session;
mod slug;
mod source;
mod stack;
mod team;
mod team_app;
mod time;
mod webhook;

pub use account::Account;
pub use app::App;
pub use app_transfer::AppTransfer;
pub use authorization::{AccessToken, Authorization, AuthorizationClient, AuthorizationUser, Grant};
pub use build::{Build, BuildBuildpack, SourceBlob};
pub use buildpack::{BuildpackInstallation, NamedUrl, RegistryBuildpack, RegistrySource, Revision};
pub use collaborator::{Collaborator, Permission};
pub use domain::Domain;
pub use dyno::Dyno;
pub use dyno_size::DynoSize;
pub use error::{Error, ErrorId};
pub use formation::Formation;
pub use key::Key;
pub use log_session::LogSession;
pub use oauth_client::OAuthClient;
pub use oauth_token::{Empty, GrantType, OAuthToken};
pub use rate_limit::RateLimit;
pub use reference::{Id, Named, Numbered, Team, User};
pub use region::{Provider, Region};
pub use release::Release;
pub use session::Session;
pub use slug::{Slug, SlugBlob};
pub use source::{Source, SourceUrls};
pub use stack::Stack;
pub use team::{Person, TeamFeature, TeamInfo, TeamMember, TeamPreferences};
pub use team_app::TeamApp;
pub use time::Time;
pub use webhook::{
    Webhook, WebhookAttempt, WebhookDelivery, WebhookEvent, WebhookEventReference, WebhookMetadata,
    WebhookNotification, WebhookPayload, WebhookReference,
};

/// The schema of variant `3.sdk` as its owner published it (licence: `published/SCHEMA-LICENSES.txt`).
pub const PUBLISHED_SDK: &str = include_str!("../published/platform-api-3.sdk.json");

/// The schema of variant `3` as its owner published it (licence: `published/SCHEMA-LICENSES.txt`).
pub const PUBLISHED_V3: &str = include_str!("../published/platform-api-3.json");
