//! An address a tenant names.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use crate::Rules;

/// The longest address in bytes.
const LONGEST: usize = 2048;

/// Where something is sent: `https://example.com/hooks`. Its path may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    host: Host,
    port: u16,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}:{}/…", self.url.scheme(), self.host, self.port)
    }
}

/// Why an address cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is none.
    #[error("it is no URL such as https://example.com/hooks, of at most 2048 characters")]
    NoUrl,
    /// It has another scheme.
    #[error("only https is sent to")]
    Scheme,
    /// It has a user or a password.
    #[error("it holds a user or a password; give these as the authorization")]
    User,
    /// It says where it leads, and that is no public address.
    #[error("it leads to an address that may not be reached from here")]
    Closed,
}

impl Target {
    /// Reads an address and refuses what can be refused without asking who a name is.
    pub fn parse(text: &str, rules: &Rules) -> Result<Self, Refused> {
        if text.len() > LONGEST {
            return Err(Refused::NoUrl);
        }
        let url = Url::parse(text).map_err(|_| Refused::NoUrl)?;
        // In the clear only to what the operator opened; a name may turn out to be that.
        if url.scheme() != "https" && !(url.scheme() == "http" && rules.opens_something()) {
            return Err(Refused::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::User);
        }
        let host = url.host().ok_or(Refused::NoUrl)?.to_owned();
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(Refused::NoUrl)?;
        let target = Self { url, host, port };
        match target.literal() {
            Some(address) if rules.may_reach(SocketAddr::new(address, port), target.is_tls()) => Ok(target),
            Some(_) => Err(Refused::Closed),
            None if target.is_local_name() => Err(Refused::Closed),
            None => Ok(target),
        }
    }

    /// The address, if it is written as one.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        match self.host {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(_) => None,
        }
    }

    /// The name or address as TLS and a resolver take it.
    pub(crate) fn name(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// The `Host` header.
    pub(crate) fn authority(&self) -> String {
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", self.host)
    }

    /// Path and query.
    pub(crate) fn path(&self) -> String {
        let query = self.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{query}", self.url.path())
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Names that are this machine's by definition (RFC 6761), so that no name server need be asked.
    fn is_local_name(&self) -> bool {
        let name = self.name();
        let name = name.trim_end_matches('.');
        name == "localhost" || name.ends_with(".localhost")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Target, Refused> {
        Target::parse(text, &Rules::default())
    }

    /// Spellings of addresses that are near, as a browser and a C library read them.
    #[rustfmt::skip]
    const NEAR: &[&str] = &[
        "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001",
        "0x7F.0x0.0x0.0x1", "127.0.0.1.", "0", "0.0.0.0", "00.00.00.00", "0x0", "10.0.0.1", "167772161", "0xa000001",
        "012.0.0.1", "10.1", "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518",
        "169.16689662", "0xa9.0xfe.0xa9.0xfe", "192.168.1.1", "3232235777", "0xc0a80101", "172.16.0.1", "172.1048577",
        "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "255.255.255.255",
        "4294967295", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
        "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::169.254.169.254]", "[64:ff9b:1::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]", "[2002:7f00:1::]", "[2001:0:a9fe:a9fe::1]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]",
        "[ff02::1]", "[fec0::1]", "[100::1]", "[2001:db8::1]", "localhost", "LOCALHOST", "localhost.", "a.localhost",
        "a.LocalHost.", "%6c%6f%63alhost", "%31%32%37.0.0.1", "１２７.０.０.１", "127。0。0。1", "①②⑦.0.0.1",
        "ｌｏｃａｌｈｏｓｔ", "1２7.1", "loc\u{ad}alhost",
    ];

    #[test]
    fn no_spelling_of_what_is_near_is_taken() {
        for host in NEAR {
            for port in ["", ":443", ":8443"] {
                let url = format!("https://{host}{port}/hooks");
                assert_eq!(parse(&url), Err(Refused::Closed), "{url}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_another_host_is_refused() {
        for (url, why) in [
            ("https://example.com@127.0.0.1/", Refused::User),
            ("https://example.com:secret@127.0.0.1/", Refused::User),
            ("https://:secret@example.com/", Refused::User),
            ("https://example.com%40127.0.0.1/", Refused::NoUrl),
            ("https://127.0.0.1#@example.com/", Refused::Closed),
            ("https://127.0.0.1?@example.com/", Refused::Closed),
            ("https://127.0.0.1\\@example.com/", Refused::Closed),
            ("https://127.0.0.1:443\\@example.com:443/", Refused::Closed),
            ("https:127.0.0.1/", Refused::Closed),
            ("https:\\\\127.0.0.1/", Refused::Closed),
            ("https:///127.0.0.1/", Refused::Closed),
            ("  https://127.0.0.1/", Refused::Closed),
            ("ht\ntps://127.0.\t0.1/", Refused::Closed),
            ("HTTPS://127.0.0.1/", Refused::Closed),
            ("https://[::ffff:127.0.0.1%25lo]/", Refused::NoUrl),
            ("https://[::1", Refused::NoUrl),
            ("https://256.256.256.256/", Refused::NoUrl),
            ("https://0x100000000/", Refused::NoUrl),
            ("https://1.2.3.4.5/", Refused::NoUrl),
            ("https://", Refused::NoUrl),
            ("https://:443/", Refused::NoUrl),
            ("https://example.com:0/", Refused::NoUrl),
            ("https://example.com:70000/", Refused::NoUrl),
            ("https://exam ple.com/", Refused::NoUrl),
            ("//example.com/", Refused::NoUrl),
            ("example.com", Refused::NoUrl),
            ("", Refused::NoUrl),
        ] {
            assert_eq!(parse(url), Err(why), "{url}");
        }
    }

    #[test]
    fn only_https_and_where_the_operator_opened_something_http() {
        for scheme in
            ["http", "ftp", "gopher", "file", "dict", "ws", "wss", "unix", "ldap", "tftp", "javascript", "data"]
        {
            let refused = parse(&format!("{scheme}://example.com/"));
            assert_eq!(refused, Err(Refused::Scheme), "{scheme}");
        }
        let rules = Rules::new(vec!["10.1.2.3:8000".parse().unwrap()]);
        let may = |url: &str| Target::parse(url, &rules).is_ok();
        assert!(may("http://10.1.2.3:8000/hooks") && may("http://hooks.example/"));
        assert!(!may("http://10.1.2.3/hooks") && !may("http://10.1.2.4:8000/") && !may("http://8.8.8.8/"));
        assert!(!may("ftp://10.1.2.3:8000/"));
    }

    #[test]
    fn what_is_sent_is_what_was_written() {
        let target = parse("https://Example.com:8443/a%20b?c=d#e").unwrap();
        assert_eq!((target.authority(), target.path()), ("example.com:8443".to_owned(), "/a%20b?c=d".to_owned()));
        assert_eq!(parse("https://bücher.example").unwrap().authority(), "xn--bcher-kva.example");
        assert!(!format!("{:?}", parse("https://example.com/secret").unwrap()).contains("secret"));
        assert!(parse(&format!("https://example.com/{}", "a".repeat(2048))).is_err());
    }
}
