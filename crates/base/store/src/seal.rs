//! Secrets at rest: sealed under a key that is not in the database.
//!
//! ```text
//! sealed := base64( version 0x01 · nonce (24 bytes, random) · XChaCha20-Poly1305(plain text, aad = context) )
//! ```
//!
//! The context names the column and the row, so that a sealed value moved to another row does not open. The same key
//! makes the unguessable parts of URLs ([`SealKey::token`]).

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

const VERSION: u8 = 1;
const NONCE: usize = 24;

/// The key; it stays in memory and in one file (0600).
#[derive(Clone)]
pub struct SealKey([u8; 32]);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(••••)")
    }
}

impl SealKey {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = [0; 32];
        fill_random(&mut bytes);
        Self(bytes)
    }

    /// The key in a file of 32 bytes.
    pub fn load(file: &Path) -> std::io::Result<Self> {
        let no_key =
            || std::io::Error::new(std::io::ErrorKind::InvalidData, "the seal key's file does not hold 32 bytes");
        <[u8; 32]>::try_from(std::fs::read(file)?).map(Self).map_err(|_| no_key())
    }

    /// The key in a file of 32 bytes; made there (0600) if the file does not exist.
    pub fn load_or_create(file: &Path) -> std::io::Result<Self> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        match Self::load(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = Self::generate();
                // Beside it first: half a key would be refused ever after.
                let beside = file.with_extension("new");
                let mut options = std::fs::OpenOptions::new();
                let mut new = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
                new.write_all(&key.0)?;
                new.sync_all()?;
                std::fs::rename(beside, file)?;
                file.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())?;
                Ok(key)
            }
            loaded => loaded,
        }
    }

    /// Seals a value as JSON.
    pub fn seal<T: Serialize>(&self, context: &str, value: &T) -> Result<String, Error> {
        Ok(STANDARD.encode(self.encrypt(context, value)?))
    }

    /// Opens what [`SealKey::seal`] made in the same context.
    pub fn open<T: DeserializeOwned>(&self, context: &str, sealed: &str) -> Result<T, Error> {
        let bytes = STANDARD.decode(sealed).map_err(|_| Error::Corrupt("sealed value"))?;
        self.decrypt(context, &bytes)
    }

    /// A value as an unguessable text for a URL, which only this platform can read back.
    pub fn token<T: Serialize>(&self, context: &str, value: &T) -> Result<String, Error> {
        Ok(URL_SAFE_NO_PAD.encode(self.encrypt(context, value)?))
    }

    /// Reads back a [`SealKey::token`].
    pub fn open_token<T: DeserializeOwned>(&self, context: &str, token: &str) -> Result<T, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Error::Corrupt("token"))?;
        self.decrypt(context, &bytes)
    }

    fn encrypt<T: Serialize>(&self, context: &str, value: &T) -> Result<Vec<u8>, Error> {
        let plain = serde_json::to_vec(value).map_err(|_| Error::Corrupt("value to seal"))?;
        let mut nonce = [0; NONCE];
        fill_random(&mut nonce);
        let payload = Payload { msg: &plain, aad: context.as_bytes() };
        let sealed = XChaCha20Poly1305::new(&self.0.into())
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Error::Corrupt("value to seal"))?;
        Ok([&[VERSION], nonce.as_slice(), &sealed].concat())
    }

    fn decrypt<T: DeserializeOwned>(&self, context: &str, bytes: &[u8]) -> Result<T, Error> {
        let corrupt = || Error::Corrupt("sealed value");
        let (version, rest) = bytes.split_first().ok_or_else(corrupt)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().filter(|_| *version == VERSION).ok_or_else(corrupt)?;
        let payload = Payload { msg: sealed, aad: context.as_bytes() };
        let plain =
            XChaCha20Poly1305::new(&self.0.into()).decrypt(&XNonce::from(*nonce), payload).map_err(|_| corrupt())?;
        serde_json::from_slice(&plain).map_err(|_| corrupt())
    }
}

#[expect(clippy::expect_used, reason = "without the kernel's randomness no key may be made, and nothing can be done")]
fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the kernel gives random bytes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_context_open() {
        let key = SealKey::generate();
        let sealed = key.seal("config/1", &"canary").unwrap();
        assert!(!sealed.contains("canary"));
        assert_eq!(key.open::<String>("config/1", &sealed).unwrap(), "canary");
        assert!(key.open::<String>("config/2", &sealed).is_err());
        assert!(SealKey::generate().open::<String>("config/1", &sealed).is_err());
        assert!(key.open_token::<String>("log", &key.token("stream", &1).unwrap()).is_err());
    }
}
