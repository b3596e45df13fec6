//! The address of a platform: `https://HOST[:PORT]`.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// Where a platform's front door is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlatformUrl {
    host: Host<String>,
    port: u16,
}

/// A text that is none.
#[derive(Debug, thiserror::Error)]
#[error("a platform's address is https://HOST or https://HOST:PORT, with nothing behind it")]
pub(crate) struct NoPlatformUrl;

impl PlatformUrl {
    /// Host and port, to connect to.
    pub(crate) fn address(&self) -> (String, u16) {
        let host = match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        (host, self.port)
    }

    /// A name for its folder: `HOST_PORT`.
    pub(crate) fn folder(&self) -> String {
        let (host, port) = self.address();
        format!("{}_{port}", host.replace(':', "-"))
    }
}

impl fmt::Display for PlatformUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.host)?;
        if self.port == 443 { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl FromStr for PlatformUrl {
    type Err = NoPlatformUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| NoPlatformUrl)?;
        let bare = url.scheme() == "https"
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        match (url.host(), url.port_or_known_default()) {
            (Some(host), Some(port)) if bare => Ok(Self { host: host.to_owned(), port }),
            _ => Err(NoPlatformUrl),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_or_without_a_port_and_nothing_else() {
        for (text, shown, folder) in [
            ("https://Paas.example.com", "https://paas.example.com", "paas.example.com_443"),
            ("https://paas.example.com:8443/", "https://paas.example.com:8443", "paas.example.com_8443"),
            ("https://[2001:db8::1]:5080", "https://[2001:db8::1]:5080", "2001-db8--1_5080"),
            ("https://192.0.2.1", "https://192.0.2.1", "192.0.2.1_443"),
        ] {
            let url: PlatformUrl = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.folder().as_str()), (shown, folder));
        }
        for wrong in
            ["http://a.example", "https://", "https://a/b", "https://a/?b", "https://u:p@a", "a.example", "env"]
        {
            assert!(wrong.parse::<PlatformUrl>().is_err(), "{wrong}");
        }
    }
}
