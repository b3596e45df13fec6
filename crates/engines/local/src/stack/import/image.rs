//! What an image says of itself: its configuration and its layers, each by digest.
//!
//! Reads an OCI layout (`oci-layout`, `index.json`, `blobs/sha256/…`; OCI image specification 1.1) and what
//! `docker save` writes (`manifest.json`). Every document is bounded and has the digest it was asked for by.

use std::io::{self, Read};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use vocabulary::Digest;

use super::child::Problem;
use super::source::{Blob, Source};

/// The most bytes of one document; registries refuse larger manifests.
const MAX_DOCUMENT: u64 = 4 << 20;
/// Docker and containerd take no more layers.
const MAX_LAYERS: usize = 127;
/// How deep an index may lead to an index.
const MAX_DEPTH: usize = 3;

/// Why something is no image for us.
#[derive(Debug, thiserror::Error)]
pub enum InvalidImage {
    /// It cannot be read.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// It is an archive in an archive.
    #[error("it is compressed; unpack it first (gzip -d FILE, or zstd -d FILE)")]
    Packed,
    /// It is neither of the two.
    #[error("it is neither an OCI layout nor what `docker save` writes")]
    NoImage,
    /// The archive.
    #[error(transparent)]
    Archive(Problem),
    /// A part of it.
    #[error("its part {0} cannot be read")]
    Part(String, #[source] io::Error),
    /// A part is not there.
    #[error("it lacks its part {0}; export the image again, with all its layers")]
    Missing(String),
    /// A document is not what it should be.
    #[error("its document {0} cannot be used: {1}")]
    Document(String, String),
    /// Several images.
    #[error("it holds {0} images for linux/amd64; export one alone")]
    Several(usize),
    /// It is for another machine.
    #[error("it is for {0}; a stack must be for linux/amd64")]
    Platform(String),
}

/// An image that was read.
#[derive(Debug)]
pub(super) struct Image {
    /// The digest of its configuration, which names the image.
    pub(super) id: Digest,
    /// From the bottom to the top.
    pub(super) layers: Vec<Layer>,
    /// Its variables, as `NAME=value`.
    pub(super) env: Vec<String>,
}

/// One layer.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) blob: Blob,
    pub(super) digest: Option<Digest>,
    pub(super) diff_id: Digest,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    digest: String,
    size: u64,
    #[serde(default)]
    media_type: String,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    layers: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Configuration {
    architecture: String,
    os: String,
    rootfs: RootFs,
    #[serde(default)]
    config: Settings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Settings {
    #[serde(default)]
    env: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

impl Image {
    /// Reads the one image for linux/amd64 of a source.
    pub(super) fn read(source: &Source) -> Result<Self, InvalidImage> {
        if source.part("oci-layout")?.is_some() {
            return Self::of_layout(source);
        }
        match source.part("manifest.json")? {
            Some(list) => Self::of_docker(source, &list),
            None => Err(InvalidImage::NoImage),
        }
    }

    fn of_layout(source: &Source) -> Result<Self, InvalidImage> {
        let bytes = document(&part(source, "index.json")?, "index.json")?;
        let index: Index = parse("index.json", &bytes)?;
        let manifest = choose(source, index, 0)?;
        let Manifest { config, layers } = by_digest(source, &manifest)?;
        let id = digest(&config.digest)?;
        let configuration: Configuration = by_digest(source, &config)?;
        let blobs = layers.iter().map(|layer| layer_blob(source, layer)).collect::<Result<Vec<_>, _>>()?;
        Self::assemble(id, configuration, blobs)
    }

    fn of_docker(source: &Source, list: &Blob) -> Result<Self, InvalidImage> {
        let name = "manifest.json";
        let saved: Vec<Saved> = parse(name, &document(list, name)?)?;
        let [saved] = saved.as_slice() else { return Err(InvalidImage::Several(saved.len())) };
        let bytes = document(&part(source, &saved.config)?, &saved.config)?;
        // The configuration holds the digest of each layer.
        let id = Digest::from_bytes(&Sha256::digest(&bytes).into());
        let configuration = parse(&saved.config, &bytes)?;
        let blobs = saved.layers.iter().map(|layer| Ok((part(source, layer)?, None)));
        Self::assemble(id, configuration, blobs.collect::<Result<Vec<_>, _>>()?)
    }

    fn assemble(
        id: Digest,
        configuration: Configuration,
        blobs: Vec<(Blob, Option<Digest>)>,
    ) -> Result<Self, InvalidImage> {
        let Configuration { architecture, os, rootfs, config } = configuration;
        if (os.as_str(), architecture.as_str()) != ("linux", "amd64") {
            return Err(InvalidImage::Platform(format!("{os}/{architecture}").chars().take(64).collect()));
        }
        if blobs.len() != rootfs.diff_ids.len() || blobs.len() > MAX_LAYERS || blobs.is_empty() {
            let reason = format!("{} layers with {} digests", blobs.len(), rootfs.diff_ids.len());
            return Err(InvalidImage::Document("configuration".to_owned(), reason));
        }
        let layers = blobs
            .into_iter()
            .zip(&rootfs.diff_ids)
            .map(|((blob, packed), diff_id)| Ok(Layer { blob, digest: packed, diff_id: digest(diff_id)? }));
        Ok(Self { id, layers: layers.collect::<Result<_, InvalidImage>>()?, env: config.env.unwrap_or_default() })
    }
}

/// The digest and size of the manifest for linux/amd64 that an index from a registry names; nothing if the document is
/// a manifest itself.
pub fn platform_manifest(document: &[u8]) -> Result<Option<(Digest, u64)>, InvalidImage> {
    let value: serde_json::Value = parse("manifest", document)?;
    if value.get("manifests").is_none() {
        return Ok(None);
    }
    let index: Index = parse("index", document)?;
    let chosen = for_us(index.manifests)?;
    Ok(Some((digest(&chosen.digest)?, chosen.size)))
}

/// The manifest of an index that is for this machine.
fn choose(source: &Source, index: Index, depth: usize) -> Result<Descriptor, InvalidImage> {
    let chosen = for_us(index.manifests)?;
    if !is_index(&chosen.media_type) {
        return Ok(chosen);
    }
    if depth >= MAX_DEPTH {
        return Err(InvalidImage::Document("index".to_owned(), "it leads from index to index".to_owned()));
    }
    choose(source, by_digest(source, &chosen)?, depth + 1)
}

fn is_index(media_type: &str) -> bool {
    media_type.ends_with(".index.v1+json") || media_type.ends_with(".manifest.list.v2+json")
}

fn for_us(manifests: Vec<Descriptor>) -> Result<Descriptor, InvalidImage> {
    let ours = |one: &Descriptor| {
        // Statements about an image stand beside it under a platform that is none.
        let statement = one.annotations.contains_key("vnd.docker.reference.type");
        let fits = |platform: &Platform| platform.os == "linux" && platform.architecture == "amd64";
        !statement && one.platform.as_ref().is_none_or(fits)
    };
    let others: Vec<String> = manifests
        .iter()
        .filter_map(|one| one.platform.as_ref())
        .map(|platform| format!("{}/{}", platform.os, platform.architecture).chars().take(64).collect())
        .take(8)
        .collect();
    let mut fitting: Vec<Descriptor> = manifests.into_iter().filter(ours).collect();
    // One image may have several tags.
    fitting.dedup_by(|one, other| one.digest == other.digest);
    match (fitting.pop(), fitting.len()) {
        (Some(only), 0) => Ok(only),
        (Some(_), more) => Err(InvalidImage::Several(more + 1)),
        (None, _) => Err(InvalidImage::Platform(others.join(", "))),
    }
}

fn layer_blob(source: &Source, layer: &Descriptor) -> Result<(Blob, Option<Digest>), InvalidImage> {
    let kind = layer.media_type.as_str();
    let known = ["application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."];
    if !known.iter().any(|prefix| kind.starts_with(prefix)) {
        let kind = kind.chars().take(100).collect::<String>();
        return Err(InvalidImage::Document("manifest".to_owned(), format!("it has a layer of the kind {kind:?}")));
    }
    let digest = digest(&layer.digest)?;
    let blob = part(source, &format!("blobs/sha256/{digest}"))?;
    if blob.size != layer.size {
        let reason = format!("layer {digest} has {} bytes, not {}", blob.size, layer.size);
        return Err(InvalidImage::Document("manifest".to_owned(), reason));
    }
    Ok((blob, Some(digest)))
}

fn by_digest<T: DeserializeOwned>(source: &Source, wanted: &Descriptor) -> Result<T, InvalidImage> {
    let name = format!("blobs/sha256/{}", digest(&wanted.digest)?);
    let bytes = document(&part(source, &name)?, &name)?;
    if Digest::from_bytes(&Sha256::digest(&bytes).into()) != digest(&wanted.digest)? {
        return Err(InvalidImage::Document(name, "its bytes are not those of its digest".to_owned()));
    }
    parse(&name, &bytes)
}

fn part(source: &Source, name: &str) -> Result<Blob, InvalidImage> {
    source.part(name)?.ok_or_else(|| InvalidImage::Missing(name.chars().take(200).collect()))
}

fn document(blob: &Blob, name: &str) -> Result<Vec<u8>, InvalidImage> {
    if blob.size > MAX_DOCUMENT {
        return Err(InvalidImage::Document(name.to_owned(), format!("it has {} bytes", blob.size)));
    }
    let mut bytes = Vec::new();
    let read = blob.open().and_then(|mut blob| blob.read_to_end(&mut bytes));
    read.map_err(|error| InvalidImage::Part(name.to_owned(), error))?;
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, InvalidImage> {
    serde_json::from_slice(bytes).map_err(|error| InvalidImage::Document(name.to_owned(), error.to_string()))
}

fn digest(text: &str) -> Result<Digest, InvalidImage> {
    let hexadecimal = text.strip_prefix("sha256:").and_then(|rest| rest.parse().ok());
    let shown = || text.chars().take(80).collect::<String>();
    hexadecimal.ok_or_else(|| InvalidImage::Document("manifest".to_owned(), format!("{:?} is no SHA-256", shown())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(digit: char, platform: &str) -> String {
        let digest: String = std::iter::repeat_n(digit, 64).collect();
        let platform = platform
            .split_once('/')
            .map(|(os, architecture)| format!(r#","platform":{{"os":"{os}","architecture":"{architecture}"}}"#));
        format!(r#"{{"digest":"sha256:{digest}","size":7,"mediaType":"x"{}}}"#, platform.unwrap_or_default())
    }

    fn chosen(manifests: &[String]) -> Result<Option<char>, String> {
        let document = format!(r#"{{"manifests":[{}]}}"#, manifests.join(","));
        let found = platform_manifest(document.as_bytes()).map_err(|error| error.to_string())?;
        Ok(found.and_then(|(digest, _)| digest.as_str().chars().next()))
    }

    #[test]
    fn the_image_for_this_kind_of_machine_is_chosen() {
        assert_eq!(
            chosen(&[one('a', "linux/arm64"), one('b', "linux/amd64"), one('c', "unknown/unknown")]),
            Ok(Some('b'))
        );
        assert_eq!(chosen(&[one('a', "")]), Ok(Some('a')), "one that does not say is looked at");
        assert!(chosen(&[one('a', "linux/arm64"), one('b', "windows/amd64")]).unwrap_err().contains("windows/amd64"));
        assert!(chosen(&[one('a', "linux/amd64"), one('b', "linux/amd64")]).unwrap_err().contains("2 images"));
        assert_eq!(platform_manifest(br#"{"config":{},"layers":[]}"#).unwrap(), None);
    }

    #[test]
    fn a_digest_is_a_sha_256_and_no_path() {
        assert!(digest("sha256:../../../../etc/shadow").is_err());
        assert!(digest(&format!("sha512:{}", "a".repeat(128))).is_err());
        assert!(digest(&format!("sha256:{}", "a".repeat(64))).is_ok());
    }
}
