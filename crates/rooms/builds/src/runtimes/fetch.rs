//! Fetching from a package source the operator named: bounded in time and size, verified, retried with a budget.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blobs::Draft;
use sha2::{Digest as _, Sha256, Sha512};

use super::Error;

/// How often a fetch is repeated after a failure that may pass.
const RETRIES: u32 = 2;
/// The pause before the first repetition; doubled before the next.
const PAUSE: Duration = Duration::from_millis(500);
/// The most bytes of a package's list of versions (npm's own has 4 MB).
const METADATA_LIMIT: u64 = 64 * 1024 * 1024;
/// The most bytes of a tarball (Node has 52 MB).
const TARBALL_LIMIT: u64 = 512 * 1024 * 1024;
/// For bytes that are what they are.
const ANYTHING: &str = "*/*";

/// A client that trusts the host's certificates and those of `ca_bundle`.
pub(crate) fn client(ca_bundle: Option<&Path>) -> Result<reqwest::Client, Error> {
    let mut builder = reqwest::Client::builder()
        .user_agent("slipway")
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(30))
        .timeout(Duration::from_mins(5))
        .redirect(reqwest::redirect::Policy::limited(3));
    if let Some(file) = ca_bundle {
        let failed = |reason: String| Error::Fetch { url: file.display().to_string(), reason };
        let pem = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.to_string()))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| Error::Fetch { url: "anything".to_owned(), reason: chain(&error) })
}

/// The digest a download must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    Sha256(Vec<u8>),
    Sha512(Vec<u8>),
}

impl Expected {
    /// The SHA-512 in a Subresource Integrity text (`sha512-BASE64`, among others); weaker digests do not count.
    pub(crate) fn integrity(text: &str) -> Option<Self> {
        let text = text.split_whitespace().find_map(|one| one.strip_prefix("sha512-"))?;
        STANDARD.decode(text).ok().filter(|digest| digest.len() == 64).map(Self::Sha512)
    }

    /// A SHA-256 in hexadecimal digits.
    pub(crate) fn sha256(text: &str) -> Option<Self> {
        let digits: Option<Vec<u8>> =
            text.chars().map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok())).collect();
        let bytes: Option<Vec<u8>> =
            digits?.chunks(2).map(|pair| if let [high, low] = pair { Some(high << 4 | low) } else { None }).collect();
        bytes.filter(|digest| digest.len() == 32).map(Self::Sha256)
    }
}

/// A digest that grows with the download.
enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    fn new(expected: &Expected) -> Self {
        match expected {
            Expected::Sha256(_) => Self::Sha256(Sha256::new()),
            Expected::Sha512(_) => Self::Sha512(Sha512::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Expected {
        match self {
            Self::Sha256(hasher) => Expected::Sha256(hasher.finalize().to_vec()),
            Self::Sha512(hasher) => Expected::Sha512(hasher.finalize().to_vec()),
        }
    }
}

/// A package's metadata, in the form `accept` asks for.
pub(crate) async fn metadata(client: &reqwest::Client, url: &str, accept: &str) -> Result<Vec<u8>, Error> {
    let mut attempt = 0;
    loop {
        let mut bytes = Vec::new();
        let fetched = stream(client, (url, accept), METADATA_LIMIT, |chunk| {
            bytes.extend_from_slice(chunk);
            Ok(())
        });
        match fetched.await {
            Ok(()) => return Ok(bytes),
            Err(failure) => pause(&mut attempt, failure, url).await?,
        }
    }
}

/// A tarball, into a draft; what does not have the digest is refused.
pub(crate) async fn download(
    client: &reqwest::Client,
    url: &str,
    expected: &Expected,
    draft: Draft,
) -> Result<Draft, Error> {
    let mut draft = draft;
    let mut attempt = 0;
    loop {
        restart(&mut draft).map_err(|source| Error::File { name: url.to_owned(), source })?;
        let mut hasher = Hasher::new(expected);
        let fetched = stream(client, (url, ANYTHING), TARBALL_LIMIT, |chunk| {
            hasher.update(chunk);
            draft.write(chunk)
        });
        match fetched.await {
            Ok(()) if hasher.finish() == *expected => return Ok(draft),
            Ok(()) => return Err(Error::Integrity { url: url.to_owned() }),
            Err(failure) => pause(&mut attempt, failure, url).await?,
        }
    }
}

fn restart(draft: &mut Draft) -> std::io::Result<()> {
    use std::io::Seek as _;
    let mut file = draft.file();
    file.set_len(0)?;
    file.rewind()
}

/// Why one attempt failed.
enum Failure {
    /// The source is away or overloaded; another attempt may succeed.
    Away(String),
    /// The source answered, and will answer the same again.
    NotThere(String),
    /// The bytes could not be kept.
    Ours(std::io::Error),
}

async fn pause(attempt: &mut u32, failure: Failure, url: &str) -> Result<(), Error> {
    let url = url.to_owned();
    match failure {
        Failure::Away(reason) if *attempt == RETRIES => return Err(Error::Fetch { url, reason }),
        Failure::Away(_) => {}
        Failure::NotThere(reason) => return Err(Error::NotThere { url, reason }),
        Failure::Ours(source) => return Err(Error::File { name: url, source }),
    }
    tokio::time::sleep(PAUSE * 2_u32.pow(*attempt)).await;
    *attempt += 1;
    Ok(())
}

async fn stream(
    client: &reqwest::Client,
    (url, accept): (&str, &str),
    limit: u64,
    mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let lost = |error: reqwest::Error| Failure::Away(chain(&error));
    let mut response = client.get(url).header("accept", accept).send().await.map_err(lost)?;
    let status = response.status();
    if !status.is_success() {
        let reason = format!("it answered {status}");
        return Err(if is_away(status) { Failure::Away(reason) } else { Failure::NotThere(reason) });
    }
    let mut bytes = 0;
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        bytes += chunk.len() as u64;
        if bytes > limit {
            return Err(Failure::NotThere(format!("it has more than {limit} bytes")));
        }
        take(&chunk).map_err(Failure::Ours)?;
    }
    Ok(())
}

/// Whether a status is about the source and not about what was asked for.
fn is_away(status: reqwest::StatusCode) -> bool {
    use reqwest::StatusCode as Is;
    let of_a_proxy = [Is::PROXY_AUTHENTICATION_REQUIRED, Is::REQUEST_TIMEOUT, Is::TOO_MANY_REQUESTS];
    status.is_server_error() || of_a_proxy.contains(&status)
}

/// An error with its causes in one line, without the address, which may hold a password.
fn chain(error: &dyn std::error::Error) -> String {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    if causes.is_empty() { "the request failed".to_owned() } else { causes.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_sha512_counts() {
        let whole = format!("sha1-abc sha512-{}", STANDARD.encode([7; 64]));
        assert_eq!(Expected::integrity(&whole), Some(Expected::Sha512(vec![7; 64])));
        for text in ["", "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "sha512-", "sha512-AAAA", "sha512-!"] {
            assert_eq!(Expected::integrity(text), None, "{text}");
        }
    }

    #[test]
    fn only_sixty_four_digits_are_a_sha256() {
        assert_eq!(Expected::sha256(&"0a".repeat(32)), Some(Expected::Sha256(vec![10; 32])));
        for text in ["", "0a", "zz", &"0a".repeat(33), &"0".repeat(63), &"0g".repeat(32)] {
            assert_eq!(Expected::sha256(text), None, "{text}");
        }
    }
}
