//! What an operator calls an image: `heroku/heroku:24`, `registry.example/team/image:tag@sha256:…`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use vocabulary::Digest;

/// The registry of names without one.
const DOCKER: &str = "registry-1.docker.io";

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// `registry.example:5000`.
    pub(crate) host: String,
    /// `heroku/heroku`.
    pub(crate) repository: String,
    tag: String,
    digest: Option<Digest>,
    /// Whether it is spoken to without TLS; only on this host.
    plain: bool,
}

/// The text names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidReference {
    /// The form.
    #[error(
        "an image is a path that exists, or [REGISTRY/]NAME[:TAG][@sha256:DIGEST] in lower case, such as heroku/heroku:24"
    )]
    Form,
    /// Without TLS.
    #[error("http:// is for a registry on this host alone; use https")]
    Plain,
}

impl Reference {
    /// `https://registry.example:5000`.
    pub(crate) fn base(&self) -> String {
        format!("{}://{}", if self.plain { "http" } else { "https" }, self.host)
    }

    /// What the registry is asked for: the digest, if there is one, else the tag.
    pub(crate) fn version(&self) -> String {
        self.digest.as_ref().map_or_else(|| self.tag.clone(), |digest| format!("sha256:{digest}"))
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let (plain, rest) = match text.strip_prefix("http://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("https://").unwrap_or(text)),
        };
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.strip_prefix("sha256:").and_then(|digest| digest.parse().ok());
                (rest, Some(digest.ok_or(InvalidReference::Form)?))
            }
            None => (rest, None),
        };
        let first = rest.split('/').next().unwrap_or_default();
        // As docker decides: a name with a dot or a port, or localhost, is a host.
        let named = rest.contains('/') && (first.contains(['.', ':']) || first == "localhost");
        let (host, path) = if named { rest.split_once('/').unwrap_or_default() } else { ("docker.io", rest) };
        let (name, tag) = path.rsplit_once(':').unwrap_or((path, "latest"));
        if plain && !(named && is_loopback(without_port(host))) {
            return Err(InvalidReference::Plain);
        }
        if !(is_host(host) && is_repository(name) && is_tag(tag)) {
            return Err(InvalidReference::Form);
        }
        let docker = ["docker.io", "index.docker.io"].contains(&host);
        let repository = if docker && !name.contains('/') { format!("library/{name}") } else { name.to_owned() };
        let host = if docker { DOCKER } else { host };
        Ok(Self { host: host.to_owned(), repository, tag: tag.to_owned(), digest, plain })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = if self.host == DOCKER { "docker.io" } else { &self.host };
        write!(f, "{host}/{}:{}", self.repository, self.tag)?;
        self.digest.iter().try_for_each(|digest| write!(f, "@sha256:{digest}"))
    }
}

/// Whether a host is this one.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// A name or an address, an IPv6 one in brackets, with a port or without.
fn is_host(text: &str) -> bool {
    let host = without_port(text);
    let port = text.strip_prefix(host).and_then(|rest| rest.strip_prefix(':'));
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let is_name = host.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) && host.bytes().all(letter);
    let in_brackets = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let sound = is_name || in_brackets.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    sound && text.len() <= 255 && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_repository(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let part = |part: &str| {
        let ends = [part.bytes().next(), part.bytes().last()];
        ends.iter().all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric())) && part.bytes().all(letter)
    };
    name.len() <= 255 && name.split('/').all(part)
}

fn is_tag(tag: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&tag.len()) && tag.bytes().all(letter) && !tag.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, InvalidReference> {
        text.parse::<Reference>().map(|read| format!("{}/v2/{} {}", read.base(), read.repository, read.version()))
    }

    #[test]
    fn an_image_is_named_as_docker_names_it() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, expected) in [
            ("heroku/heroku:24", "https://registry-1.docker.io/v2/heroku/heroku 24".to_owned()),
            ("debian", "https://registry-1.docker.io/v2/library/debian latest".to_owned()),
            ("docker.io/library/debian:13", "https://registry-1.docker.io/v2/library/debian 13".to_owned()),
            ("ghcr.io/a/b/c:1.2", "https://ghcr.io/v2/a/b/c 1.2".to_owned()),
            ("registry.example:5000/x", "https://registry.example:5000/v2/x latest".to_owned()),
            ("http://127.0.0.1:5000/x:1", "http://127.0.0.1:5000/v2/x 1".to_owned()),
            (&format!("heroku/heroku:24@{digest}"), format!("https://registry-1.docker.io/v2/heroku/heroku {digest}")),
        ] {
            assert_eq!(read(text).as_ref(), Ok(&expected), "{text}");
        }
    }

    #[test]
    fn what_names_no_image_is_refused() {
        for text in ["", "UPPER/case", "a//b", "../x", "a/../b", "x:", "x@sha256:12", "host.example/", "x y", "a:b:c/d"]
        {
            assert_eq!(read(text), Err(InvalidReference::Form), "{text}");
        }
        for text in ["http://registry.example/x", "http://heroku/heroku", "http://10.0.0.1:5000/x"] {
            assert_eq!(read(text), Err(InvalidReference::Plain), "{text}");
        }
    }
}
