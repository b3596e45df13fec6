//! The words of who may do what: permissions on an app, roles in a team, scopes of a token.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $error:ident, $message:literal, { $($(#[$one:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$one])* #[serde(rename = $text)] $variant,)*
        }

        #[doc = concat!("The text is no [`", stringify!($name), "`].")]
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        #[error($message)]
        pub struct $error;

        impl $name {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word the API has for it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or($error)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;

words! {
    /// What somebody may do with an app (Heroku Dev Center, "App Permissions"). Each is given on its own.
    Permission, UnknownPermission, "permissions are view, deploy, operate and manage", {
        /// See it, its dynos and its releases.
        View = "view",
        /// Its code and config vars.
        Deploy = "deploy",
        /// Its dynos, logs and add-ons.
        Operate = "operate",
        /// Its name, its users, its end.
        Manage = "manage",
    }
}

words! {
    /// What somebody is in a team (Heroku Dev Center, "Managing Enterprise Team Users").
    TeamRole, UnknownTeamRole, "roles in a team are admin, member and viewer", {
        /// Everything, with every app of the team.
        Admin = "admin",
        /// Sees the team and its apps, makes apps.
        Member = "member",
        /// Sees the team and its apps.
        Viewer = "viewer",
    }
}

words! {
    /// How far a token reaches (Heroku Dev Center, "OAuth": "Scopes").
    Scope, UnknownScope, "scopes are global, identity, read, write, read-protected and write-protected", {
        /// Everything.
        Global = "global",
        /// Whose it is.
        Identity = "identity",
        /// Reading apps without their config vars.
        Read = "read",
        /// Reading and changing apps without their config vars.
        Write = "write",
        /// Reading apps and config vars.
        ReadProtected = "read-protected",
        /// Reading and changing apps and config vars.
        WriteProtected = "write-protected",
    }
}

/// A set of permissions, in the order of [`Permission::ALL`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Permissions(u8);

impl Permissions {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All four.
    pub const ALL: Self = Self(0b1111);
    /// What a collaborator of a personal app has.
    pub const ALL_BUT_MANAGE: Self = Self(0b0111);
    /// Seeing alone.
    pub const VIEW: Self = Self(0b0001);

    const fn bit(permission: Permission) -> u8 {
        1 << permission as u8
    }

    /// Whether this one is among them.
    #[must_use]
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & Self::bit(permission) != 0
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, permission: Permission) -> Self {
        Self(self.0 | Self::bit(permission))
    }

    /// Those of either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |one| self.has(*one))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(each: I) -> Self {
        each.into_iter().fold(Self::NONE, Self::with)
    }
}

/// Words with commas between, as the store keeps them: `view,deploy`.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.iter().map(Permission::as_str).collect();
        f.write_str(&words.join(","))
    }
}

impl From<Permissions> for String {
    fn from(permissions: Permissions) -> Self {
        permissions.to_string()
    }
}

impl TryFrom<String> for Permissions {
    type Error = UnknownPermission;

    fn try_from(text: String) -> Result<Self, UnknownPermission> {
        text.parse()
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permissions({self})")
    }
}

impl FromStr for Permissions {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Self, UnknownPermission> {
        text.split(',').filter(|word| !word.is_empty()).map(str::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        assert_eq!("write-protected".parse(), Ok(Scope::WriteProtected));
        assert_eq!("viewer".parse(), Ok(TeamRole::Viewer));
        assert!("Admin".parse::<TeamRole>().is_err());
        assert!("owner".parse::<TeamRole>().is_err());
        assert!("".parse::<Permission>().is_err());
    }

    #[test]
    fn a_set_of_permissions_is_written_and_read() {
        let both: Permissions = [Permission::Operate, Permission::View].into_iter().collect();
        assert_eq!(both.to_string(), "view,operate");
        assert_eq!("operate,view".parse(), Ok(both));
        assert_eq!("".parse(), Ok(Permissions::NONE));
        assert!("view,fly".parse::<Permissions>().is_err());
        assert!(both.has(Permission::View) && !both.has(Permission::Manage));
        assert_eq!(Permissions::ALL_BUT_MANAGE.with(Permission::Manage), Permissions::ALL);
        assert_eq!(Permissions::ALL, Permission::ALL.iter().copied().collect());
    }
}
