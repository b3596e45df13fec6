//! Stacks: what Heroku calls them, what an operator imported, and which installed image provides them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A stack as an app names it; it is read back unchanged (decision 8). Whether an image is installed for it only the
/// engine knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Stack {
    /// Ubuntu 22.04 at Heroku.
    Heroku22,
    /// Ubuntu 24.04 at Heroku; the default.
    #[default]
    Heroku24,
    /// Ubuntu 26.04 at Heroku.
    Heroku26,
    /// Any other, imported under this name.
    Imported(StackName),
}

/// The name of an imported stack: 2 to 30 lower-case letters, digits and hyphens, the first a letter. It becomes a
/// part of paths, and is copied as a number is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StackName {
    bytes: [u8; MAX],
    length: u8,
}

const MAX: usize = 30;

/// No stack can have this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stack's name is 2 to 30 lower-case letters, digits and hyphens, the first a letter")]
pub struct InvalidStack;

impl Stack {
    /// The stacks that are there without an import, oldest first.
    pub const KNOWN: [Self; 3] = [Self::Heroku22, Self::Heroku24, Self::Heroku26];
    /// The image that is made here from packages, and provides each of [`Stack::KNOWN`] that was not imported. No
    /// stack is imported under its name.
    pub const OWN_IMAGE: &'static str = "debian-13";

    /// `heroku-24`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Heroku22 => "heroku-22",
            Self::Heroku24 => "heroku-24",
            Self::Heroku26 => "heroku-26",
            Self::Imported(name) => name.as_str(),
        }
    }

    /// The image that provides the stack where none is installed under its own name.
    #[must_use]
    pub fn stand_in(&self) -> Option<&'static str> {
        Self::KNOWN.contains(self).then_some(Self::OWN_IMAGE)
    }
}

impl StackName {
    fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        // Only ASCII gets in.
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl FromStr for Stack {
    type Err = InvalidStack;

    fn from_str(text: &str) -> Result<Self, InvalidStack> {
        if let Some(known) = Self::KNOWN.into_iter().find(|stack| stack.name() == text) {
            return Ok(known);
        }
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if text.len() < 2 || !begins || !text.bytes().all(plain) || text == Self::OWN_IMAGE {
            return Err(InvalidStack);
        }
        let mut bytes = [0; MAX];
        bytes.get_mut(..text.len()).ok_or(InvalidStack)?.copy_from_slice(text.as_bytes());
        Ok(Self::Imported(StackName { bytes, length: u8::try_from(text.len()).map_err(|_| InvalidStack)? }))
    }
}

impl TryFrom<String> for Stack {
    type Error = InvalidStack;

    fn try_from(text: String) -> Result<Self, InvalidStack> {
        text.parse()
    }
}

impl From<Stack> for String {
    fn from(stack: Stack) -> Self {
        stack.name().to_owned()
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for StackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn herokus_names_are_known_and_others_are_imported() {
        assert_eq!("heroku-22".parse(), Ok(Stack::Heroku22));
        assert_eq!(Stack::Heroku26.stand_in(), Some("debian-13"));
        let ours: Stack = "our-stack-2".parse().unwrap();
        assert_eq!((ours.name(), ours.stand_in()), ("our-stack-2", None));
        assert_eq!(String::from(ours), "our-stack-2");
        assert_eq!(Stack::try_from("heroku-24".to_owned()), Ok(Stack::default()));
    }

    #[test]
    fn a_name_that_is_no_part_of_a_path_is_refused() {
        let long = "a".repeat(31);
        for bad in ["", "a", "../x", "A-b", "a_b", "-a", "1-a", "a.b", "debian-13", &long] {
            assert_eq!(bad.parse::<Stack>(), Err(InvalidStack), "{bad}");
        }
        assert_eq!("a".repeat(30).parse::<Stack>().unwrap().name().len(), 30);
    }
}
