//! The words of webhooks: what one can be told of, how often it is tried, how a delivery stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::access::words;
use crate::states::{IllegalMove, states};

words! {
    /// What a webhook can be told of (Heroku Dev Center, "App Webhooks", and "Webhook Dyno Events" for the last).
    WebhookInclude, UnknownWebhookInclude,
    "an include is one of api:addon, api:addon-attachment, api:app, api:build, api:collaborator, api:domain, api:dyno, \
     api:formation, api:release, api:sni-endpoint and dyno", {
        /// Add-ons; there are none yet.
        Addon = "api:addon",
        /// Attachments of add-ons; there are none yet.
        AddonAttachment = "api:addon-attachment",
        /// The app itself.
        App = "api:app",
        /// Builds.
        Build = "api:build",
        /// Collaborators.
        Collaborator = "api:collaborator",
        /// Custom domains.
        Domain = "api:domain",
        /// Dynos that begin to run.
        Dyno = "api:dyno",
        /// The formation.
        Formation = "api:formation",
        /// Releases.
        Release = "api:release",
        /// Certificates; there are none yet.
        SniEndpoint = "api:sni-endpoint",
        /// Every state a dyno comes to.
        DynoState = "dyno",
    }
}

impl WebhookInclude {
    /// What an event calls the thing it tells of.
    #[must_use]
    pub fn resource(self) -> &'static str {
        self.as_str().trim_start_matches("api:")
    }
}

words! {
    /// How often a delivery is tried.
    WebhookLevel, UnknownWebhookLevel, "a level is notify or sync", {
        /// Once.
        Notify = "notify",
        /// Until it succeeds or is too old.
        Sync = "sync",
    }
}

words! {
    /// What happened to a thing.
    EventAction, UnknownEventAction, "an action is create, update or destroy", {
        /// It was made.
        Create = "create",
        /// It changed.
        Update = "update",
        /// It is gone.
        Destroy = "destroy",
    }
}

states! {
    /// A delivery. Owner: `rooms/webhooks`.
    ///
    /// ```text
    /// pending ──begin──▶ scheduled ──succeed──▶ succeeded
    ///                     │   ▲ └─────give up──▶ failed
    ///                  retry  begin
    ///                     ▼   │
    ///                    retrying
    /// ```
    DeliveryStatus {
        /// It waits for its first attempt.
        Pending = "pending",
        /// An attempt is under way.
        Scheduled = "scheduled",
        /// An attempt failed, and there will be another.
        Retrying = "retrying",
        /// The receiver took it.
        Succeeded = "succeeded",
        /// No attempt succeeded, and there will be no other.
        Failed = "failed",
    }
}

/// What can happen to a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliveryEvent {
    /// An attempt begins.
    Begin,
    /// The receiver took it.
    Succeed,
    /// The attempt failed; there will be another.
    Retry,
    /// The attempt failed, and was the last.
    GiveUp,
}

impl DeliveryStatus {
    /// The state after `event`.
    pub fn after(self, event: DeliveryEvent) -> Result<Self, IllegalMove> {
        match (self, event) {
            (Self::Pending | Self::Retrying, DeliveryEvent::Begin) => Ok(Self::Scheduled),
            (Self::Scheduled, DeliveryEvent::Succeed) => Ok(Self::Succeeded),
            (Self::Scheduled, DeliveryEvent::Retry) => Ok(Self::Retrying),
            (Self::Scheduled, DeliveryEvent::GiveUp) => Ok(Self::Failed),
            (from, event) => Err(IllegalMove {
                thing: "delivery",
                from: from.as_str(),
                event: match event {
                    DeliveryEvent::Begin => "begin",
                    DeliveryEvent::Succeed => "succeed",
                    DeliveryEvent::Retry => "retry",
                    DeliveryEvent::GiveUp => "give up",
                },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_ends_once() {
        use DeliveryEvent::{Begin, GiveUp, Retry, Succeed};
        for end in [DeliveryStatus::Succeeded, DeliveryStatus::Failed] {
            for event in [Begin, Succeed, Retry, GiveUp] {
                assert!(end.after(event).is_err());
            }
        }
        assert_eq!(DeliveryStatus::Pending.after(Begin), Ok(DeliveryStatus::Scheduled));
        assert_eq!(DeliveryStatus::Scheduled.after(Retry), Ok(DeliveryStatus::Retrying));
        assert_eq!(DeliveryStatus::Retrying.after(Begin), Ok(DeliveryStatus::Scheduled));
        assert!(DeliveryStatus::Pending.after(Succeed).is_err());
    }

    #[test]
    fn a_resource_is_the_include_without_its_prefix() {
        assert_eq!(WebhookInclude::SniEndpoint.resource(), "sni-endpoint");
        assert_eq!(WebhookInclude::DynoState.resource(), "dyno");
    }
}
