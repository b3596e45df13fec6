//! The words of the platform: names, ids, quantities, states and their transitions.
//!
//! Knows what a valid value is and what state follows which. Knows no database, network, file or clock: whoever
//! needs the time passes a [`Timestamp`] in. A value of one of these types is valid because it exists; parsing
//! happens once, at a door, through `FromStr`.

mod access;
mod app_feature;
mod basic;
mod digest;
mod dyno_size;
mod egress;
mod heroku_hosts;
mod hostname;
mod ids;
mod names;
mod notification;
mod procfile;
mod secret;
mod stack;
mod states;
mod timestamp;
mod webhook;

pub use access::{Permission, Permissions, Scope, TeamRole, UnknownPermission, UnknownScope, UnknownTeamRole};
pub use app_feature::{AppFeature, UnknownAppFeature};
pub use basic::basic_credentials;
pub use digest::{Digest, InvalidDigest};
pub use dyno_size::{DynoSize, UnknownDynoSize};
pub use egress::{EgressAllow, InvalidEgressAllow, first_address};
pub use heroku_hosts::HEROKU_HOSTS;
pub use hostname::{Hostname, InvalidHostname};
pub use ids::{
    AccountId, AppId, AppTransferId, AuthorizationId, BuildId, BuildpackInstallationId, CollaboratorId, DomainId,
    DynoId, FavoriteId, FormationId, GrantId, InvalidId, KeyId, NotificationId, OAuthClientId, ReleaseId, SessionId,
    SlugId, TeamId, TeamInvitationId, TeamMemberId, TokenId, WebhookAttemptId, WebhookDeliveryId, WebhookEventId,
    WebhookId,
};
pub use names::{
    AppName, ConfigVarName, DynoName, InvalidAppName, InvalidConfigVarName, InvalidDynoName, InvalidProcessType,
    InvalidTeamName, ProcessType, ReleaseVersion, TeamName,
};
pub use notification::{NotificationKind, UnknownNotificationKind};
pub use procfile::{InvalidProcfile, ProcessTypes};
pub use secret::Secret;
pub use stack::{InvalidStack, Stack, StackName};
pub use states::{
    BuildEvent, BuildStatus, DynoEvent, DynoState, IllegalMove, ReleaseEvent, ReleaseStatus, TransferEvent,
    TransferStatus,
};
pub use timestamp::Timestamp;
pub use webhook::{
    DeliveryEvent, DeliveryStatus, EventAction, UnknownEventAction, UnknownWebhookInclude, UnknownWebhookLevel,
    WebhookInclude, WebhookLevel,
};
