//! What the platform tells a user unasked.

use std::str::FromStr;

/// Why a user is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationKind {
    /// Somebody let them into an app.
    CollaboratorAdded,
    /// Somebody offers them an app.
    TransferOffered,
    /// The release phase of a release of theirs failed.
    ReleaseFailed,
}

/// It is no kind of notification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of notification")]
pub struct UnknownNotificationKind(String);

impl NotificationKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::CollaboratorAdded, Self::TransferOffered, Self::ReleaseFailed];

    /// Its name in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CollaboratorAdded => "collaborator-added",
            Self::TransferOffered => "transfer-offered",
            Self::ReleaseFailed => "release-failed",
        }
    }
}

impl FromStr for NotificationKind {
    type Err = UnknownNotificationKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| UnknownNotificationKind(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_back() {
        for kind in NotificationKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("crashed".parse::<NotificationKind>().is_err());
    }
}
