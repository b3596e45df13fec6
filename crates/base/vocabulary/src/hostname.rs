//! The host names of custom domains.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name that DNS can carry (RFC 1035, section 2.3.4), without the dot at its end.
const LONGEST: usize = 253;

/// A host name as DNS knows it: lower case, an internationalised one as its A-labels (RFC 5890), without a port or the
/// dot at its end. A first label `*` stands for one or more labels, as in DNS (RFC 4592).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hostname(String);

/// The text is no [`Hostname`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a domain is a host name of at least two labels such as www.example.com or *.example.com, without scheme, port and path"
)]
pub struct InvalidHostname;

impl Hostname {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the `*.` of a wildcard; nothing if it is none.
    #[must_use]
    pub fn below(&self) -> Option<&str> {
        self.0.strip_prefix("*.")
    }

    /// Whether a request for one of the two could be meant for the other: they are the same, or one is a wildcard
    /// above the other.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let covers = |wildcard: &Self, name: &Self| {
            let rest = wildcard.below().and_then(|suffix| name.0.strip_suffix(suffix));
            rest.is_some_and(|rest| rest.ends_with('.'))
        };
        self == other || covers(self, other) || covers(other, self)
    }
}

impl FromStr for Hostname {
    type Err = InvalidHostname;

    fn from_str(text: &str) -> Result<Self, InvalidHostname> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let (star, name) = text.strip_prefix("*.").map_or(("", text), |rest| ("*.", rest));
        let ascii = idna::domain_to_ascii_strict(name).map_err(|_| InvalidHostname)?;
        let labels: Vec<&str> = ascii.split('.').collect();
        // A last label of digits would be an IPv4 address to half of all programs.
        let is_number = labels.last().is_none_or(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        let name = format!("{star}{ascii}");
        let fine = labels.len() >= 2 && labels.iter().all(|label| is_label(label)) && !is_number;
        if fine && name.len() <= LONGEST { Ok(Self(name)) } else { Err(InvalidHostname) }
    }
}

/// Letters, digits and hyphens, none at either end (RFC 1123, section 2.1), at most 63.
fn is_label(label: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&label.len()) && label.bytes().all(known) && !label.starts_with('-') && !label.ends_with('-')
}

impl TryFrom<String> for Hostname {
    type Error = InvalidHostname;

    fn try_from(text: String) -> Result<Self, InvalidHostname> {
        text.parse()
    }
}

impl From<Hostname> for String {
    fn from(name: Hostname) -> Self {
        name.0
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_form() {
        for (text, expected) in [
            ("www.example.com", "www.example.com"),
            ("Example.COM.", "example.com"),
            ("*.example.com", "*.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("*.BÜCHER.example", "*.xn--bcher-kva.example"),
            ("a-1.co", "a-1.co"),
        ] {
            assert_eq!(text.parse::<Hostname>().map(String::from), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = format!("{}.com", "a.".repeat(130));
        for text in [
            "",
            ".",
            "com",
            "localhost",
            "*",
            "*.",
            "*.com",
            "a.*.com",
            "**.a.com",
            "-a.com",
            "a-.com",
            "a..com",
            ".a.com",
            "a_b.com",
            "http://a.com",
            "a.com:80",
            "a.com/x",
            "a b.com",
            "a.com\n",
            "127.0.0.1",
            "a.1",
            "::1",
            &long,
            &format!("{}.com", "a".repeat(64)),
        ] {
            assert_eq!(text.parse::<Hostname>(), Err(InvalidHostname), "{text}");
        }
    }

    #[test]
    fn names_overlap() {
        let overlap = |a: &str, b: &str| a.parse::<Hostname>().unwrap().overlaps(&b.parse().unwrap());
        assert!(overlap("a.example.com", "a.example.com"));
        assert!(overlap("*.example.com", "a.example.com"));
        assert!(overlap("a.b.example.com", "*.example.com"));
        assert!(overlap("*.b.example.com", "*.example.com"));
        assert!(!overlap("*.example.com", "example.com"));
        assert!(!overlap("*.example.com", "badexample.com"));
        assert!(!overlap("a.example.com", "b.example.com"));
    }
}
