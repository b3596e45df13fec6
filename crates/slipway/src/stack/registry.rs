//! Fetches an image from a registry into an OCI layout: the pull part of the distribution API, version 2.
//!
//! ```text
//! FOLDER/oci-layout  FOLDER/index.json  FOLDER/blobs/sha256/DIGEST
//! ```
//!
//! Every document and layer is bounded by the size that was announced for it and kept only under the digest it has, so
//! that it does not matter who answered. A blob that is there already is not fetched again. HTTPS, but for a registry
//! on this host.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use local::stack::import::platform_manifest;
use reqwest::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vocabulary::Digest;

use super::reference::{Reference, is_loopback};

/// What a manifest may be.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.docker.distribution.manifest.v2+json";
/// Registries take no larger manifests.
const MAX_MANIFEST: u64 = 4 << 20;
/// The most bytes of an answer with a token.
const MAX_TOKEN: u64 = 64 << 10;
/// The most bytes of all layers as they come.
const MAX_LAYERS: u64 = 8 << 30;
/// How often a blob is tried.
const ATTEMPTS: u32 = 4;
/// The pause after the first failure; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);

/// Why an image was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The connection.
    #[error("could not reach {0}")]
    Reach(String, #[source] reqwest::Error),
    /// A registry may not be spoken to without TLS unless it is on this host.
    #[error("{0} is neither https nor on this host")]
    Plain(String),
    /// The registry did not know who we are.
    #[error("{0} refuses access: {1}; give --credentials FILE if the image is private, and check its name")]
    Refused(String, String),
    /// There is no such thing.
    #[error("{0} has no {1}")]
    Missing(String, String),
    /// An answer that no registry gives.
    #[error("{0} answered {1}")]
    Answer(String, String),
    /// Not the bytes of the digest.
    #[error("{0} sent other bytes than {1} promises, {ATTEMPTS} times")]
    Digest(String, String),
    /// It is not an image.
    #[error("could not use the manifest")]
    Manifest(#[from] local::stack::import::InvalidImage),
    /// The folder.
    #[error("could not write {0}")]
    Write(PathBuf, #[source] std::io::Error),
}

/// A registry's user.
#[derive(Clone)]
pub(crate) struct Credentials {
    /// The user.
    pub(crate) user: String,
    /// The password or token.
    pub(crate) password: vocabulary::Secret,
}

/// Fetches an image; `progress` gets one line per step. Answers the digest of its manifest.
pub(crate) async fn pull(
    client: &Client,
    reference: &Reference,
    credentials: Option<&Credentials>,
    folder: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<Digest, Error> {
    let mut pull = Pull { client, reference, credentials, authorization: None, folder };
    fs::create_dir_all(folder.join("blobs/sha256")).map_err(|error| Error::Write(folder.to_owned(), error))?;
    let (mut digest, mut bytes) = pull.manifest(&reference.version()).await?;
    // An index may lead to an index; nobody nests them deeper.
    for _ in 0..3 {
        let Some((next, _)) = platform_manifest(&bytes)? else { break };
        (digest, bytes) = pull.manifest(&format!("sha256:{next}")).await?;
    }
    let manifest: Value = serde_json::from_slice(&bytes).map_err(|error| pull.odd(&error.to_string()))?;
    let parts = pull.parts(&manifest)?;
    for (number, (part, size)) in parts.iter().enumerate() {
        progress(&format!("Fetching part {} of {}, {} MB", number + 1, parts.len(), size.div_ceil(1_000_000)));
        pull.blob(part, *size).await?;
    }
    pull.keep(&digest, &bytes)?;
    let kind = manifest["mediaType"].as_str().unwrap_or("application/vnd.oci.image.manifest.v1+json");
    let descriptor = json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len()});
    let index = json!({"schemaVersion": 2, "manifests": [descriptor]}).to_string();
    for (name, text) in [("index.json", index.as_str()), ("oci-layout", r#"{"imageLayoutVersion": "1.0.0"}"#)] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| Error::Write(path, error))?;
    }
    Ok(digest)
}

struct Pull<'a> {
    client: &'a Client,
    reference: &'a Reference,
    credentials: Option<&'a Credentials>,
    /// The header that the registry takes, once it said which.
    authorization: Option<String>,
    folder: &'a Path,
}

impl Pull<'_> {
    /// A manifest or index with its digest: that it was asked for by, or the one it has.
    async fn manifest(&mut self, version: &str) -> Result<(Digest, Vec<u8>), Error> {
        let answer = self.get(&format!("manifests/{version}"), MANIFESTS).await?;
        let bytes = self.read(answer, MAX_MANIFEST).await?;
        let digest = Digest::from_bytes(&Sha256::digest(&bytes).into());
        match version.strip_prefix("sha256:") {
            Some(asked) if asked != digest.as_str() => Err(Error::Digest(self.host(), version.to_owned())),
            _ => Ok((digest, bytes)),
        }
    }

    /// The configuration and the layers with their sizes, each once.
    fn parts(&self, manifest: &Value) -> Result<Vec<(Digest, u64)>, Error> {
        let layers = manifest["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut parts: Vec<(Digest, u64)> = vec![];
        for part in layers.iter().chain([&manifest["config"]]) {
            let digest = part["digest"].as_str().and_then(|text| text.strip_prefix("sha256:")?.parse().ok());
            let (Some(digest), Some(size)) = (digest, part["size"].as_u64()) else {
                return Err(self.odd("with a manifest without digests and sizes"));
            };
            if !parts.iter().any(|(known, _)| *known == digest) {
                parts.push((digest, size));
            }
        }
        let all: u64 = parts.iter().fold(0, |sum, (_, size)| sum.saturating_add(*size));
        if all > MAX_LAYERS {
            return Err(self.odd(&format!("with an image of {all} bytes, more than {MAX_LAYERS}")));
        }
        Ok(parts)
    }

    /// Fetches a blob that is not there yet.
    async fn blob(&mut self, digest: &Digest, size: u64) -> Result<(), Error> {
        let path = self.folder.join("blobs/sha256").join(digest.as_str());
        match fs::metadata(&path) {
            Ok(about) if about.len() == size && holds(&path, digest) => return Ok(()),
            // A disk that lost bytes: taken as it is, it would be refused with each import.
            Ok(_) => fs::remove_file(&path).map_err(|error| Error::Write(path.clone(), error))?,
            Err(_) => {}
        }
        let mut pause = PAUSE;
        for attempt in 1.. {
            match self.try_blob(digest, size, &path).await {
                Err(error @ (Error::Reach(..) | Error::Digest(..))) if attempt < ATTEMPTS => {
                    tracing::debug!(%error, attempt, "fetching a part of an image again");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                done => return done,
            }
        }
        Ok(())
    }

    async fn try_blob(&mut self, digest: &Digest, size: u64, path: &Path) -> Result<(), Error> {
        // Of this process, as another may fetch the same.
        let draft = path.with_extension(format!("part-{}", std::process::id()));
        let fetched = self.fetch_blob(digest, size, &draft).await;
        let placed =
            fetched.and_then(|()| fs::rename(&draft, path).map_err(|error| Error::Write(path.to_owned(), error)));
        if placed.is_err() {
            // Why it failed matters more than whether there is a draft to remove.
            fs::remove_file(draft).unwrap_or(());
        }
        placed
    }

    async fn fetch_blob(&mut self, digest: &Digest, size: u64, draft: &Path) -> Result<(), Error> {
        let write = |error| Error::Write(draft.to_owned(), error);
        let mut answer = self.get(&format!("blobs/sha256:{digest}"), "*/*").await?;
        let mut file = fs::File::create(draft).map_err(write)?;
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        while let Some(chunk) = answer.chunk().await.map_err(|error| Error::Reach(self.host(), error))? {
            bytes += chunk.len() as u64;
            if bytes > size {
                break;
            }
            hash.update(&chunk);
            file.write_all(&chunk).map_err(write)?;
        }
        if bytes != size || Digest::from_bytes(&hash.finalize().into()) != *digest {
            return Err(Error::Digest(self.host(), format!("sha256:{digest}")));
        }
        // A part of this name is taken for whole ever after.
        file.sync_all().map_err(write)
    }

    fn keep(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        let path = self.folder.join("blobs/sha256").join(digest.as_str());
        fs::write(&path, bytes).map_err(|error| Error::Write(path, error))
    }

    /// Asks the registry, and once more when it said how to ask.
    async fn get(&mut self, what: &str, accept: &str) -> Result<Response, Error> {
        let url = format!("{}/v2/{}/{what}", self.reference.base(), self.reference.repository);
        for last in [false, true] {
            let mut request = self.client.get(&url).header(ACCEPT, accept);
            if let Some(value) = &self.authorization {
                request = request.header(AUTHORIZATION, value);
            }
            let answer = request.send().await.map_err(|error| Error::Reach(self.host(), error))?;
            match answer.status() {
                status if status.is_success() => return Ok(answer),
                StatusCode::UNAUTHORIZED if !last => self.authorization = Some(self.authorize(&answer).await?),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    return Err(Error::Refused(self.host(), answer.status().to_string()));
                }
                StatusCode::NOT_FOUND => return Err(Error::Missing(self.host(), self.reference.to_string())),
                status => return Err(self.odd(&status.to_string())),
            }
        }
        Err(self.odd("nothing of use"))
    }

    /// The header for what a challenge asks: a token from whom it names, or user and password.
    async fn authorize(&self, answer: &Response) -> Result<String, Error> {
        let challenge = answer.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let (scheme, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            let needed = || Error::Refused(self.host(), "it wants a user and a password".to_owned());
            return self.credentials.map(basic).ok_or_else(needed);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(self.odd(&format!("with a challenge of the kind {scheme:?}")));
        }
        let realm = parameter(rest, "realm").unwrap_or_default();
        let mut url = Url::parse(&realm).map_err(|_| self.odd("without saying where tokens are"))?;
        allowed(&url)?;
        let scope =
            parameter(rest, "scope").unwrap_or_else(|| format!("repository:{}:pull", self.reference.repository));
        let service = parameter(rest, "service");
        url.query_pairs_mut().extend_pairs(service.map(|service| ("service", service))).append_pair("scope", &scope);
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut request = self.client.get(url);
        if let Some(credentials) = self.credentials {
            request = request.header(AUTHORIZATION, basic(credentials));
        }
        let answer = request.send().await.map_err(|error| Error::Reach(host.clone(), error))?;
        if !answer.status().is_success() {
            return Err(Error::Refused(host, answer.status().to_string()));
        }
        let bytes = self.read(answer, MAX_TOKEN).await?;
        let token: Value =
            serde_json::from_slice(&bytes).map_err(|error| Error::Answer(host.clone(), error.to_string()))?;
        let token = token["token"].as_str().or(token["access_token"].as_str());
        token.map(|token| format!("Bearer {token}")).ok_or_else(|| Error::Answer(host, "without a token".to_owned()))
    }

    async fn read(&self, mut answer: Response, most: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| Error::Reach(self.host(), error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > most {
                return Err(self.odd(&format!("with more than {most} bytes")));
            }
        }
        Ok(bytes)
    }

    fn host(&self) -> String {
        self.reference.host.clone()
    }

    fn odd(&self, what: &str) -> Error {
        Error::Answer(self.host(), what.to_owned())
    }
}

/// Whether a file's bytes are those of a digest.
fn holds(path: &Path, digest: &Digest) -> bool {
    hash_of(path).is_ok_and(|found| found == *digest)
}

fn hash_of(path: &Path) -> std::io::Result<Digest> {
    let (mut file, mut hash) = (fs::File::open(path)?, Sha256::new());
    let mut chunk = vec![0; 256 * 1024];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(Digest::from_bytes(&hash.finalize().into())),
            count => hash.update(chunk.get(..count).unwrap_or_default()),
        }
    }
}

/// A client that follows a registry to where it keeps blobs, and nowhere without TLS.
pub(crate) fn client(ca_bundle: &Path) -> Result<Client, Error> {
    let host = || "any registry".to_owned();
    let follow = reqwest::redirect::Policy::custom(|attempt| {
        if attempt.previous().len() > 5 {
            attempt.error("too many redirections")
        } else if allowed(attempt.url()).is_err() {
            attempt.error("a redirection to where there is no TLS")
        } else {
            attempt.follow()
        }
    });
    let mut builder = Client::builder()
        .user_agent("slipway")
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_mins(1))
        .redirect(follow);
    if let Ok(pem) = fs::read(ca_bundle) {
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| Error::Reach(host(), error))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| Error::Reach(host(), error))
}

fn allowed(url: &Url) -> Result<(), Error> {
    let host = url.host_str().unwrap_or_default();
    let fine = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(host));
    if fine { Ok(()) } else { Err(Error::Plain(host.to_owned())) }
}

fn basic(credentials: &Credentials) -> String {
    use base64::Engine as _;
    let text = format!("{}:{}", credentials.user, credentials.password.reveal());
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
}

/// A parameter of a challenge: `realm="https://…",service="…"`.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let mut rest = challenge;
    loop {
        let (key, value) = rest.split_once("=\"")?;
        let (value, behind) = value.split_once('"')?;
        if key.trim_start_matches([',', ' ']).eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests;
