//! A text that must not be printed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A secret text: a config var's value, a token, a URL with a password. Prints as dots; [`Secret::reveal`] is the
/// one way to the text, so that a search for it finds every place that can leak.
///
/// It serialises as its text, since JSON is how it reaches the API's owner and the engine.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("••••")
    }
}
