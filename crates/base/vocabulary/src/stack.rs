//! Stacks: what Heroku calls them and which installed image provides them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A stack as an app names it. All are provided by the image `debian-13` until others can be imported; the name an
/// app asked for is read back unchanged (decision 8).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stack {
    /// Ubuntu 22.04 at Heroku.
    #[serde(rename = "heroku-22")]
    Heroku22,
    /// Ubuntu 24.04 at Heroku; the default.
    #[default]
    #[serde(rename = "heroku-24")]
    Heroku24,
    /// Ubuntu 26.04 at Heroku.
    #[serde(rename = "heroku-26")]
    Heroku26,
}

/// No stack has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such stack: choose heroku-22, heroku-24 or heroku-26")]
pub struct UnknownStack;

impl Stack {
    /// Every stack, oldest first.
    pub const ALL: [Self; 3] = [Self::Heroku22, Self::Heroku24, Self::Heroku26];

    /// `heroku-24`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Heroku22 => "heroku-22",
            Self::Heroku24 => "heroku-24",
            Self::Heroku26 => "heroku-26",
        }
    }

    /// The value of `STACK` that classic buildpacks see. They build download addresses from it; binaries made for
    /// heroku-24 run on Debian 13's glibc 2.41, those made for heroku-26 need not.
    #[must_use]
    pub fn for_buildpacks(self) -> &'static str {
        "heroku-24"
    }

    /// The name of the installed image that provides the stack.
    #[must_use]
    pub fn image(self) -> &'static str {
        "debian-13"
    }
}

impl FromStr for Stack {
    type Err = UnknownStack;

    fn from_str(text: &str) -> Result<Self, UnknownStack> {
        Self::ALL.into_iter().find(|stack| stack.name() == text).ok_or(UnknownStack)
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
