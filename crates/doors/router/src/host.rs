//! The host a request names, in the one form in which hosts are compared.

use std::net::IpAddr;

use http::uri::Authority;

/// Lower case, without port and without the dot at its end.
pub(crate) fn normal(authority: &Authority) -> String {
    let host = authority.host();
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Whether a normal host is an IP address: those are hosts of the platform.
pub(crate) fn is_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_form() {
        for text in
            ["sushi.localhost", "Sushi.LOCALHOST", "sushi.localhost:5080", "sushi.localhost.", "sushi.localhost.:80"]
        {
            assert_eq!(normal(&text.parse().unwrap()), "sushi.localhost", "{text}");
        }
        assert_eq!(normal(&"a..".parse().unwrap()), "a.");
    }

    #[test]
    fn addresses_are_told_apart() {
        assert!(is_address("127.0.0.1"));
        assert!(is_address(&normal(&"[::1]:5080".parse().unwrap())));
        assert!(!is_address("127.0.0.1.localhost"));
        assert!(!is_address("localhost"));
    }
}
