//! The life cycles, each one enum with one function from (state, event) to the next state or a refusal.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A state machine was asked for a move it does not have; the state is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {thing} that is {from} cannot {event}")]
pub struct IllegalMove {
    pub(crate) thing: &'static str,
    pub(crate) from: &'static str,
    pub(crate) event: &'static str,
}

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// The state's name in the API and in the store.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($text => Ok(Self::$variant),)* _ => Err(()) }
            }
        }
    };
}

pub(crate) use states;

states! {
    /// A build: `pending → succeeded | failed`. Owner: `rooms/builds`.
    BuildStatus {
        /// Queued or compiling; left when the build job ends.
        Pending = "pending",
        /// A slug exists and a release was made of it.
        Succeeded = "succeeded",
        /// Nothing was released; the build's output says why.
        Failed = "failed",
    }
}

/// What can happen to a build.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BuildEvent {
    /// The slug was made and released.
    Succeed,
    /// The build ended without a slug.
    Fail,
}

impl BuildStatus {
    /// The state after `event`.
    pub fn after(self, event: BuildEvent) -> Result<Self, IllegalMove> {
        match (self, event) {
            (Self::Pending, BuildEvent::Succeed) => Ok(Self::Succeeded),
            (Self::Pending, BuildEvent::Fail) => Ok(Self::Failed),
            (from, event) => Err(IllegalMove {
                thing: "build",
                from: from.as_str(),
                event: match event {
                    BuildEvent::Succeed => "succeed",
                    BuildEvent::Fail => "fail",
                },
            }),
        }
    }
}

states! {
    /// A release: `pending → succeeded → expired`, `pending → failed`. Owner: `rooms/releases`; it expires by
    /// `rooms/retention`.
    ReleaseStatus {
        /// Its release phase has not ended.
        Pending = "pending",
        /// It was, or is, the current release.
        Succeeded = "succeeded",
        /// Its release phase failed; it never became current.
        Failed = "failed",
        /// Its slug was deleted for its age: nothing goes back to it.
        Expired = "expired",
    }
}

/// What can happen to a release.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReleaseEvent {
    /// The release phase passed, or there is none.
    Succeed,
    /// The release phase failed or timed out.
    Fail,
    /// Its slug is deleted.
    Expire,
}

impl ReleaseStatus {
    /// The state after `event`.
    pub fn after(self, event: ReleaseEvent) -> Result<Self, IllegalMove> {
        match (self, event) {
            (Self::Pending, ReleaseEvent::Succeed) => Ok(Self::Succeeded),
            (Self::Pending, ReleaseEvent::Fail) => Ok(Self::Failed),
            (Self::Succeeded, ReleaseEvent::Expire) => Ok(Self::Expired),
            (from, event) => Err(IllegalMove {
                thing: "release",
                from: from.as_str(),
                event: match event {
                    ReleaseEvent::Succeed => "succeed",
                    ReleaseEvent::Fail => "fail",
                    ReleaseEvent::Expire => "expire",
                },
            }),
        }
    }
}

states! {
    /// A dyno. Owner: `rooms/dynos`.
    ///
    /// ```text
    /// starting ──listening / started──▶ up ──exited──▶ crashed ──(back-off, a new dyno)
    ///    │ └──exited, boot timeout──▶ crashed              │
    ///    └────────stop──▶ down ◀───────stop────────────────┘   (up, too)
    /// ```
    DynoState {
        /// Its process was asked for; a web dyno has not bound its port yet.
        Starting = "starting",
        /// A web dyno listens, any other runs.
        Up = "up",
        /// It ended by itself, or never listened; the reconciler starts a new one after the back-off.
        Crashed = "crashed",
        /// It is being stopped, or was.
        Down = "down",
    }
}

/// What can happen to a dyno.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DynoEvent {
    /// A web dyno listens on its port, another type's process runs.
    BecameReady,
    /// The process ended, or was ended for never listening.
    Exited,
    /// The platform stops it: a deploy, a scale, a restart.
    Stopped,
}

impl DynoState {
    /// The state after `event`.
    pub fn after(self, event: DynoEvent) -> Result<Self, IllegalMove> {
        match (self, event) {
            (Self::Starting, DynoEvent::BecameReady) => Ok(Self::Up),
            (Self::Starting | Self::Up, DynoEvent::Exited) => Ok(Self::Crashed),
            (Self::Starting | Self::Up | Self::Crashed, DynoEvent::Stopped) => Ok(Self::Down),
            (from, event) => Err(IllegalMove {
                thing: "dyno",
                from: from.as_str(),
                event: match event {
                    DynoEvent::BecameReady => "become ready",
                    DynoEvent::Exited => "exit",
                    DynoEvent::Stopped => "be stopped",
                },
            }),
        }
    }
}

states! {
    /// An app on its way to another owner: `pending → accepted | declined`. Owner: the API.
    TransferStatus {
        /// Nobody answered; the app is where it was.
        Pending = "pending",
        /// The recipient took it.
        Accepted = "accepted",
        /// The recipient did not want it.
        Declined = "declined",
    }
}

/// What can happen to a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransferEvent {
    /// The recipient takes the app.
    Accept,
    /// The recipient refuses it.
    Decline,
}

impl TransferStatus {
    /// The state after `event`.
    pub fn after(self, event: TransferEvent) -> Result<Self, IllegalMove> {
        match (self, event) {
            (Self::Pending, TransferEvent::Accept) => Ok(Self::Accepted),
            (Self::Pending, TransferEvent::Decline) => Ok(Self::Declined),
            (from, event) => Err(IllegalMove {
                thing: "transfer",
                from: from.as_str(),
                event: match event {
                    TransferEvent::Accept => "be accepted",
                    TransferEvent::Decline => "be declined",
                },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_build_or_release_stays_ended() {
        assert_eq!(BuildStatus::Pending.after(BuildEvent::Succeed), Ok(BuildStatus::Succeeded));
        assert!(BuildStatus::Failed.after(BuildEvent::Succeed).is_err());
        assert!(ReleaseStatus::Succeeded.after(ReleaseEvent::Fail).is_err());
        assert_eq!(ReleaseStatus::Succeeded.after(ReleaseEvent::Expire), Ok(ReleaseStatus::Expired));
        assert!(ReleaseStatus::Pending.after(ReleaseEvent::Expire).is_err());
    }

    #[test]
    fn a_transfer_is_answered_once() {
        assert_eq!(TransferStatus::Pending.after(TransferEvent::Accept), Ok(TransferStatus::Accepted));
        assert!(TransferStatus::Declined.after(TransferEvent::Accept).is_err());
        assert!(TransferStatus::Accepted.after(TransferEvent::Decline).is_err());
    }

    #[test]
    fn a_stopped_dyno_does_not_come_back() {
        assert_eq!(DynoState::Up.after(DynoEvent::Stopped), Ok(DynoState::Down));
        for event in [DynoEvent::BecameReady, DynoEvent::Exited, DynoEvent::Stopped] {
            assert!(DynoState::Down.after(event).is_err());
        }
        assert_eq!(
            DynoState::Crashed.after(DynoEvent::BecameReady).unwrap_err().to_string(),
            "a dyno that is crashed cannot become ready"
        );
    }
}
