//! Names people choose or read: apps, config vars, process types, dynos, release versions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $error:ident, $message:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        #[doc = concat!("The text is no [`", stringify!($name), "`].")]
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        #[error($message)]
        pub struct $error;

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.to_owned())) } else { Err($error) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

name! {
    /// An app's name, 3 to 30 characters: `^[a-z][a-z0-9-]{1,28}[a-z0-9]$` (Platform API schema, `app.name`).
    AppName, InvalidAppName,
    "Name must start with a letter, end with a letter or digit and can only contain lowercase letters, digits, and dashes, 3 to 30 characters in all",
    |text| {
        let bytes = text.as_bytes();
        (3..=30).contains(&bytes.len())
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.last().is_some_and(|last| *last != b'-')
            && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
    }
}

name! {
    /// A config var's name, as a shell can hold it: letters, digits and underscores, no digit first, 128 at most.
    ConfigVarName, InvalidConfigVarName,
    "Config var names can only contain letters, digits and underscores, cannot begin with a digit, and have at most 128 characters",
    |text| {
        (1..=128).contains(&text.len())
            && !text.as_bytes().first().is_some_and(u8::is_ascii_digit)
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }
}

name! {
    /// A process type of a Procfile: `^[-\w]{1,128}$` (Platform API schema, `formation.type`).
    ProcessType, InvalidProcessType,
    "a process type has 1 to 128 letters, digits, dashes and underscores",
    |text| {
        (1..=128).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    }
}

name! {
    /// A team's name, 2 to 30 characters like an app's: it is the name in `NAME@herokumanager.com`, by which the
    /// official command knows a team's app.
    TeamName, InvalidTeamName,
    "A team's name must start with a letter, end with a letter or digit and can only contain lowercase letters, digits, and dashes, 2 to 30 characters in all",
    |text| {
        let bytes = text.as_bytes();
        (2..=30).contains(&bytes.len())
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.last().is_some_and(|last| *last != b'-')
            && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
            && !["apps", "invitations", "permissions"].contains(&text)
    }
}

impl ProcessType {
    /// The type whose dynos receive requests.
    #[must_use]
    pub fn web() -> Self {
        Self("web".to_owned())
    }

    /// The release phase's command; never scaled.
    #[must_use]
    pub fn release() -> Self {
        Self("release".to_owned())
    }

    /// What one-off dynos are called unless somebody says otherwise.
    #[must_use]
    pub fn run() -> Self {
        Self("run".to_owned())
    }

    /// Whether dynos of this type receive requests and a `PORT`.
    #[must_use]
    pub fn is_web(&self) -> bool {
        self.0 == "web"
    }

    /// Whether this is the release phase's command.
    #[must_use]
    pub fn is_release(&self) -> bool {
        self.0 == "release"
    }
}

/// A dyno's name, `TYPE.NUMBER` such as `web.1`; the number starts at 1.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DynoName {
    process_type: ProcessType,
    number: u32,
}

/// The text is no [`DynoName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a dyno's name is a process type, a dot and a number from 1, such as web.1")]
pub struct InvalidDynoName;

impl DynoName {
    /// The dyno `number` of a process type.
    #[must_use]
    pub fn new(process_type: ProcessType, number: u32) -> Self {
        Self { process_type, number }
    }

    /// The part before the dot.
    #[must_use]
    pub fn process_type(&self) -> &ProcessType {
        &self.process_type
    }

    /// The part after the dot.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl FromStr for DynoName {
    type Err = InvalidDynoName;

    fn from_str(text: &str) -> Result<Self, InvalidDynoName> {
        let (process_type, number) = text.rsplit_once('.').ok_or(InvalidDynoName)?;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
        let number = number.parse().ok().filter(|_| digits).ok_or(InvalidDynoName)?;
        Ok(Self { process_type: process_type.parse().map_err(|_| InvalidDynoName)?, number })
    }
}

impl TryFrom<String> for DynoName {
    type Error = InvalidDynoName;

    fn try_from(text: String) -> Result<Self, InvalidDynoName> {
        text.parse()
    }
}

impl From<DynoName> for String {
    fn from(name: DynoName) -> String {
        name.to_string()
    }
}

impl fmt::Display for DynoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.process_type, self.number)
    }
}

impl fmt::Debug for DynoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A release's version within its app: 1, 2, 3, …, never reused. Printed as `v12`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseVersion(i64);

impl ReleaseVersion {
    /// The version with this number.
    #[must_use]
    pub fn new(number: i64) -> Self {
        Self(number)
    }

    /// The bare number.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for ReleaseVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl fmt::Debug for ReleaseVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_names_follow_the_schema() {
        for name in ["abc", "a-b", "sushi-2", &"a".repeat(30)] {
            assert!(name.parse::<AppName>().is_ok(), "{name}");
        }
        for name in ["ab", "1ab", "Abc", "abc-", "a_b", "a.b", "../x", "", "é-abc", &"a".repeat(31)] {
            assert!(name.parse::<AppName>().is_err(), "{name}");
        }
    }

    #[test]
    fn team_names_are_no_paths_of_the_api() {
        for name in ["ab", "acme-widgets", "t1"] {
            assert!(name.parse::<TeamName>().is_ok(), "{name}");
        }
        for name in ["a", "Acme", "acme-", "a.b", "a@b", "apps", "permissions", "invitations"] {
            assert!(name.parse::<TeamName>().is_err(), "{name}");
        }
    }

    #[test]
    fn config_var_names_are_shell_names() {
        for name in ["A", "_A1", "database_url", "A__B"] {
            assert!(name.parse::<ConfigVarName>().is_ok(), "{name}");
        }
        for name in ["", "1A", "A-B", "A=B", "A B", "A\0", "É"] {
            assert!(name.parse::<ConfigVarName>().is_err(), "{name}");
        }
    }

    #[test]
    fn dyno_names_have_a_type_and_a_number() {
        let name: DynoName = "my-worker.12".parse().unwrap();
        assert_eq!((name.process_type().as_str(), name.number()), ("my-worker", 12));
        assert_eq!(name.to_string(), "my-worker.12");
        for name in ["web", "web.", "web.0", "web.01", ".1", "web.+1", "a b.1"] {
            assert!(name.parse::<DynoName>().is_err(), "{name}");
        }
    }
}
