//! Where a request comes from, as far as it has to be told apart from others.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;

/// The client's address: the last of `X-Forwarded-For`, which our router appended. Of IPv6 the first half alone, which
/// is one subscriber's. Without a router in between, `local`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ClientAddress(pub(crate) String);

impl ClientAddress {
    /// The address these headers tell.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let said = headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
        let last = said.and_then(|list| list.rsplit(',').next()).and_then(|last| last.trim().parse().ok());
        Self(last.map_or_else(|| "local".to_owned(), network))
    }
}

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_router_said_counts_and_what_the_client_said_does_not() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", value.parse().unwrap());
            ClientAddress::of(&headers).0
        };
        assert_eq!(of("9.9.9.9, 8.8.8.8, 1.2.3.4"), "1.2.3.4");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(of("::ffff:1.2.3.4"), "1.2.3.4");
        assert_eq!(of("nonsense"), "local");
        assert_eq!(ClientAddress::of(&HeaderMap::new()).0, "local");
    }
}
