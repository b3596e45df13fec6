//! The fingerprint of a certificate authority: by it a person on one machine knows that they reached another.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// SHA-256 of a certificate's DER. Written as 64 hexadecimal digits; read also with colons, capitals and the prefix
/// `SHA256:`, as other tools print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

/// A text that is none.
#[derive(Debug, thiserror::Error)]
#[error("a fingerprint has 64 hexadecimal digits, as `slipway doctor` prints it on the platform's machine")]
pub(crate) struct NoFingerprint;

impl Fingerprint {
    /// Of a certificate in DER.
    pub(crate) fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.trim().to_ascii_lowercase();
        let digits: Vec<u8> = lower.trim_start_matches("sha256:").bytes().filter(|byte| *byte != b':').collect();
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let bytes = digits.chunks(2).map(|pair| match pair {
            [high, low] => Some(value(*high)? * 16 + value(*low)?),
            _ => None,
        });
        let bytes: Vec<u8> = bytes.collect::<Option<_>>().ok_or(NoFingerprint)?;
        bytes.try_into().map(Self).map_err(|_| NoFingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_written_and_as_others_write_it() {
        let fingerprint = Fingerprint::of(b"abc");
        let text = fingerprint.to_string();
        assert_eq!(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(text.parse::<Fingerprint>().unwrap(), fingerprint);
        let pairs: Vec<&str> = text.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap()).collect();
        let other = format!("SHA256:{}", pairs.join(":").to_uppercase());
        assert_eq!(other.parse::<Fingerprint>().unwrap(), fingerprint);
        for wrong in ["", "ba78", text.strip_prefix('b').unwrap(), &format!("{text}00"), &text.replace('b', "g")] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }
}
