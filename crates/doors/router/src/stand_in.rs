//! `CONNECT`: a client that takes us for a proxy. The official command reaches some of Heroku's hosts, which no setting of
//! its redirects, by none but a proxy.
//!
//! ```text
//! CONNECT particleboard.heroku.com:443 ──▶ 200 ──▶ what follows is a new connection to ourselves: TLS or HTTP
//! ```
//!
//! Nothing is connected to, whatever is asked for: what comes inside ends here and is served by the host it names. So a
//! `CONNECT` opens nothing that the same client could not open without it, and we are nobody's open proxy. Those that mean
//! another host are told so.

use std::net::IpAddr;

use bytes::Bytes;
use http::StatusCode;

use crate::connection::{Connection, Next};
use crate::head::Head;
use crate::pages;
use crate::routes::Owner;

/// The client may go on. No fields: a 2xx to `CONNECT` has no body (RFC 9110, section 9.3.6).
const GO_ON: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// What becomes of a `CONNECT`.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// One of the platform's hosts, and the client waits for our word: it may go on.
    Ours,
    /// An app's host: as Heroku's router, we do not know the method there.
    App,
    /// A host that we do not stand in for.
    Elsewhere,
    /// In a way that we do not serve: through TLS, inside another one, or before our word.
    Unserved,
}

/// Answers a `CONNECT` to a normal host.
pub(crate) async fn answer(connection: &mut Connection, head: &Head, host: &str) -> Next {
    match asked(connection, head, host) {
        Asked::Ours => {
            let idle = connection.worker.timeouts.idle;
            let written = connection.stream.write(Bytes::from_static(GO_ON), idle).await;
            if written.is_ok() { Next::Inside } else { Next::Cut }
        }
        Asked::App => closing(connection, head, pages::refused(StatusCode::METHOD_NOT_ALLOWED)).await,
        Asked::Unserved => closing(connection, head, pages::refused(StatusCode::BAD_REQUEST)).await,
        Asked::Elsewhere => closing(connection, head, pages::no_proxy()).await,
    }
}

/// A refusal ends the connection: what the client sends next may be meant for another host.
async fn closing(connection: &mut Connection, head: &Head, page: pages::Page) -> Next {
    let mut answer = connection.answer(head, connection.worker.timeouts.idle);
    answer.keep_alive = false;
    if answer.page(page).await.is_ok() { Next::Close } else { Next::Cut }
}

fn asked(connection: &Connection, head: &Head, host: &str) -> Asked {
    let is_plain = connection.protocol == "http" && !connection.is_inside && !connection.is_surplus;
    if !is_plain || !connection.buffer.is_empty() || !head.framing.is_empty() {
        return Asked::Unserved;
    }
    match connection.worker.current.routes().owner(host) {
        Owner::App(_) => Asked::App,
        Owner::Platform if is_served(host) => Asked::Ours,
        Owner::Platform | Owner::Nobody => Asked::Elsewhere,
    }
}

/// Every address is a host of the platform's, but one that is not the loopback is most likely meant for another machine.
fn is_served(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().map_or(true, |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_the_loopback_are_served_and_no_other_address() {
        for (host, served) in [
            ("telex.heroku.com", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("10.0.0.1", false),
            ("[2001:db8::1]", false),
        ] {
            assert_eq!(is_served(host), served, "{host}");
        }
    }
}
