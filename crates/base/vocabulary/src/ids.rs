//! One type per kind of id, so that an app's id is never passed for a build's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text was not a lower-case hyphenated UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id is a UUID of 36 characters such as 01234567-89ab-cdef-0123-456789abcdef")]
pub struct InvalidId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id; its bits begin with the time, so that ids sort by age (UUID version 7).
            #[must_use]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as its UUID.
            #[must_use]
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if text.len() != 36 {
                    return Err(InvalidId);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
            }
        }
    )*};
}

ids! {
    /// A user's account.
    AccountId,
    /// An app.
    AppId,
    /// An app's way to another owner.
    AppTransferId,
    /// An OAuth authorization, the owner of one access token.
    AuthorizationId,
    /// A build.
    BuildId,
    /// One entry of an app's ordered list of buildpacks.
    BuildpackInstallationId,
    /// Somebody's permissions on an app.
    CollaboratorId,
    /// A custom domain.
    DomainId,
    /// One run of one dyno: a restart makes a new id under the same name. The engine's instances carry it.
    DynoId,
    /// An app that an account has marked.
    FavoriteId,
    /// One process type of an app with its quantity and size.
    FormationId,
    /// A code that a client exchanges for tokens.
    GrantId,
    /// A public key of a user.
    KeyId,
    /// A word of the platform's to a user.
    NotificationId,
    /// A program that acts for users with their consent.
    OAuthClientId,
    /// A release.
    ReleaseId,
    /// A browser, or a command line that was let in by one.
    SessionId,
    /// A slug.
    SlugId,
    /// A team.
    TeamId,
    /// Somebody's place in a team.
    TeamMemberId,
    /// An invitation into a team.
    TeamInvitationId,
    /// An access or refresh token.
    TokenId,
    /// One try at a delivery.
    WebhookAttemptId,
    /// What an event is told to a webhook with.
    WebhookDeliveryId,
    /// Something that happened to an app.
    WebhookEventId,
    /// A subscription to events of an app.
    WebhookId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let id = AppId::new();
        assert_eq!(id.to_string().parse::<AppId>(), Ok(id));
        assert_eq!(id.to_string().replace('-', "").parse::<AppId>(), Err(InvalidId));
        assert_eq!("web".parse::<AppId>(), Err(InvalidId));
    }
}
