//! What an app may ask of Python's version, as `.python-version` and `runtime.txt` write it.

use std::fmt;
use std::str::FromStr;

/// A released version of Python, such as `3.13.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PythonVersion {
    /// `3`.
    pub major: u32,
    /// `13`.
    pub minor: u32,
    /// `5`.
    pub patch: u32,
}

/// Which versions of Python will do.
///
/// ```
/// use inside_contract::{PythonRequirement, PythonVersion};
///
/// let asked: PythonRequirement = "3.13".parse().unwrap();
/// assert!(asked.meets("3.13.5".parse().unwrap()));
/// assert!(!asked.meets("3.12.9".parse().unwrap()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PythonRequirement {
    /// The app says nothing: the platform's default is chosen, and a version that is there will do.
    Default,
    /// `3`: the newest there is of it.
    Major(u32),
    /// `3.13`: the newest patch release.
    Minor(u32, u32),
    /// `3.13.5`.
    Exact(PythonVersion),
}

/// A text that is no version of Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPythonVersion;

impl fmt::Display for NoPythonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version of Python is written as 3.13 or 3.13.5")
    }
}

impl std::error::Error for NoPythonVersion {}

impl FromStr for PythonVersion {
    type Err = NoPythonVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse()? {
            PythonRequirement::Exact(version) => Ok(version),
            _ => Err(NoPythonVersion),
        }
    }
}

impl fmt::Display for PythonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for PythonRequirement {
    type Err = NoPythonVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::Default);
        }
        let number = |part: &str| -> Option<u32> {
            let plain = (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_| plain && (part == "0" || !part.starts_with('0')))
        };
        let parts: Option<Vec<u32>> = text.split('.').map(number).collect();
        match parts.as_deref() {
            Some(&[major]) => Ok(Self::Major(major)),
            Some(&[major, minor]) => Ok(Self::Minor(major, minor)),
            Some(&[major, minor, patch]) => Ok(Self::Exact(PythonVersion { major, minor, patch })),
            _ => Err(NoPythonVersion),
        }
    }
}

impl PythonRequirement {
    /// Whether this version is what was asked for.
    #[must_use]
    pub fn meets(&self, version: PythonVersion) -> bool {
        match *self {
            Self::Default => true,
            Self::Major(major) => version.major == major,
            Self::Minor(major, minor) => (version.major, version.minor) == (major, minor),
            Self::Exact(exact) => version == exact,
        }
    }
}

/// Marks a compiled module (`.pyc`) as one that is not compared with its source: by PEP 552, flags of 1 behind four bytes
/// of magic, then eight bytes of a hash that nobody reads. Layers have one date for all files, by which a dated module
/// would be out of date at every import.
pub fn undate(compiled: &mut [u8]) {
    if let Some(header) = compiled.get_mut(4..16) {
        header.copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undated_module_keeps_its_magic_and_its_code() {
        let mut compiled: Vec<u8> = (10..30).collect();
        undate(&mut compiled);
        assert_eq!(compiled, [10, 11, 12, 13, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 26, 27, 28, 29]);
        let mut short = vec![7; 15];
        undate(&mut short);
        assert_eq!(short, [7; 15]);
    }

    #[test]
    fn the_three_forms_and_nothing_else() {
        let exact = PythonRequirement::Exact(PythonVersion { major: 3, minor: 13, patch: 0 });
        for (text, expected) in [
            ("", Ok(PythonRequirement::Default)),
            ("3", Ok(PythonRequirement::Major(3))),
            ("3.13", Ok(PythonRequirement::Minor(3, 13))),
            (" 3.13.0\n", Ok(exact)),
            ("3.13.x", Err(NoPythonVersion)),
            ("3.13.5rc1", Err(NoPythonVersion)),
            ("python-3.13", Err(NoPythonVersion)),
            (">=3.12", Err(NoPythonVersion)),
            ("3.13.5.1", Err(NoPythonVersion)),
            ("3.", Err(NoPythonVersion)),
            ("3.01", Err(NoPythonVersion)),
            ("3.4294967296", Err(NoPythonVersion)),
        ] {
            assert_eq!(text.parse(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_requirement_is_met_by_what_begins_like_it() {
        for (requirement, version, expected) in [
            ("", "3.13.5", true),
            ("3", "3.13.5", true),
            ("2", "3.13.5", false),
            ("3.13", "3.13.5", true),
            ("3.1", "3.13.5", false),
            ("3.13.5", "3.13.5", true),
            ("3.13.5", "3.13.50", false),
        ] {
            let requirement: PythonRequirement = requirement.parse().unwrap();
            assert_eq!(requirement.meets(version.parse().unwrap()), expected, "{requirement:?} {version}");
        }
    }
}
