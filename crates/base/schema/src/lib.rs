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
mod delinquency;
mod domain;
mod dyno;
mod dyno_size;
mod error;
mod feature;
mod formation;
mod generation;
mod key;
mod log_session;
mod oauth_client;
mod oauth_token;
mod permission_entity;
mod rate_limit;
mod reference;
mod region;
mod release;
mod session;
mod slug;
mod sms_number;
mod source;
mod stack;
mod team;
mod team_app;
mod team_invitation;
mod time;
mod usage;

pub use account::Account;
pub use app::App;
pub use app_transfer::AppTransfer;
pub use authorization::{AccessToken, Authorization, AuthorizationClient, AuthorizationUser, Grant};
pub use build::{Build, BuildBuildpack, SourceBlob};
pub use buildpack::{BuildpackInstallation, NamedUrl, RegistryBuildpack, RegistrySource, Revision};
pub use collaborator::{Collaborator, Permission};
pub use delinquency::Delinquency;
pub use domain::Domain;
pub use dyno::Dyno;
pub use dyno_size::DynoSize;
pub use error::{Error, ErrorId};
pub use feature::Feature;
pub use formation::Formation;
pub use generation::Generation;
pub use key::Key;
pub use log_session::LogSession;
pub use oauth_client::OAuthClient;
pub use oauth_token::{Empty, GrantType, OAuthToken};
pub use permission_entity::{PermissionEntity, PermittedUser};
pub use rate_limit::RateLimit;
pub use reference::{Id, Named, Numbered, Team, User};
pub use region::{Provider, Region};
pub use release::Release;
pub use session::Session;
pub use slug::{Slug, SlugBlob};
pub use sms_number::SmsNumber;
pub use source::{Source, SourceUrls};
pub use stack::Stack;
pub use team::{Person, TeamInfo, TeamMember, TeamPreferences};
pub use team_app::TeamApp;
pub use team_invitation::TeamInvitation;
pub use time::Time;
pub use usage::{AppUsage, TeamUsage};

/// The schema of variant `3.sdk` as its owner published it (licence: `published/SCHEMA-LICENSES.txt`).
pub const PUBLISHED_SDK: &str = include_str!("../published/platform-api-3.sdk.json");

/// The schema of variant `3` as its owner published it (licence: `published/SCHEMA-LICENSES.txt`).
pub const PUBLISHED_V3: &str = include_str!("../published/platform-api-3.json");
