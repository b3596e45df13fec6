//! Programs of a Python package index: pip and uv, in the versions this platform was tested with.
//!
//! The index is asked by its JSON form (PEP 691), which gives the address and the SHA-256 of every file.

use blobs::Draft;
use serde::Deserialize;

use super::{Error, fetch};

/// What an index is asked for.
const JSON: &str = "application/vnd.pypi.simple.v1+json";
/// Pinned, as Heroku pins them: a new release of an installer must not break a build that worked yesterday.
const PINNED: [(&str, &str); 2] = [("pip", "26.3"), ("uv", "0.13.9")];

/// An index, by the base of its simple pages.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    client: reqwest::Client,
    base: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Project {
    files: Vec<File>,
}

#[derive(Debug, Deserialize)]
struct File {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: Hashes,
}

#[derive(Debug, Default, Deserialize)]
struct Hashes {
    sha256: Option<String>,
}

/// The version of a program that builds use.
pub(crate) fn pinned(name: &str) -> Option<&'static str> {
    PINNED.iter().find(|(pinned, _)| *pinned == name).map(|(_, version)| *version)
}

impl Index {
    pub(crate) fn new(client: reqwest::Client, base: Option<String>) -> Self {
        Self { client, base }
    }

    /// Fetches the wheel of a version for this machine into a draft, verified.
    pub(crate) async fn download(&self, name: &'static str, version: &str, draft: Draft) -> Result<Draft, Error> {
        let base = self.base.as_deref().ok_or(Error::NoSource("Python packages"))?;
        let page = format!("{}/{name}/", base.trim_end_matches('/'));
        let bytes = fetch::metadata(&self.client, &page, JSON).await?;
        let project: Project = serde_json::from_slice(&bytes).map_err(|error| Error::Fetch {
            url: page.clone(),
            reason: format!("it is no JSON of PEP 691: {error}"),
        })?;
        let file = wheel(&project.files, name, version, std::env::consts::ARCH).ok_or_else(|| Error::Unavailable {
            name: name.to_owned(),
            requirement: version.to_owned(),
            nearest: "on other package indexes".to_owned(),
        })?;
        let url = absolute(&page, &file.url)?;
        let expected = file.hashes.sha256.as_deref().and_then(fetch::Expected::sha256);
        let expected = expected.ok_or_else(|| Error::Integrity { url: url.clone() })?;
        fetch::download(&self.client, &url, &expected, draft).await
    }
}

/// A mirror may give addresses relative to its page.
fn absolute(page: &str, url: &str) -> Result<String, Error> {
    let wrong = |error: &dyn std::error::Error| Error::Fetch { url: page.to_owned(), reason: error.to_string() };
    let page: reqwest::Url = page.parse().map_err(|error| wrong(&error))?;
    Ok(page.join(url).map_err(|error| wrong(&error))?.into())
}

/// `NAME-VERSION-…-none-any.whl`, or the one for this machine's glibc.
fn wheel<'a>(files: &'a [File], name: &str, version: &str, machine: &str) -> Option<&'a File> {
    let begin = format!("{name}-{version}-py3-none-");
    let ours = |tag: &str| tag == "any" || (tag.starts_with("manylinux") && tag.ends_with(machine));
    files.iter().find(|file| {
        let tag = file.filename.strip_prefix(&begin).and_then(|rest| rest.strip_suffix(".whl"));
        tag.is_some_and(ours)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wheel_for_this_machine() {
        let file = |name: &str| File { filename: name.to_owned(), url: String::new(), hashes: Hashes::default() };
        let files = [
            "uv-0.13.9.tar.gz",
            "uv-0.13.9-py3-none-macosx_11_0_arm64.whl",
            "uv-0.13.9-py3-none-musllinux_1_1_x86_64.whl",
            "uv-0.13.9-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "uv-0.13.9-py3-none-manylinux_2_28_aarch64.whl",
            "pip-26.3-py3-none-any.whl",
        ]
        .map(file);
        let found = |name, version, machine| wheel(&files, name, version, machine).map(|file| file.filename.as_str());
        assert_eq!(found("uv", "0.13.9", "x86_64"), Some(files[3].filename.as_str()));
        assert_eq!(found("uv", "0.13.9", "aarch64"), Some(files[4].filename.as_str()));
        assert_eq!(found("uv", "0.13.8", "x86_64"), None);
        assert_eq!(found("pip", "26.3", "x86_64"), Some(files[5].filename.as_str()));
    }

    #[test]
    fn addresses_may_be_relative_to_the_page() {
        let page = "https://host/simple/pip/";
        assert_eq!(absolute(page, "../../packages/p.whl").unwrap(), "https://host/packages/p.whl");
        assert_eq!(absolute(page, "https://files/p.whl#sha256=1").unwrap(), "https://files/p.whl#sha256=1");
    }
}
