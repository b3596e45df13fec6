//! Which headers go on to a dyno, and which come back: Heroku Dev Center, "HTTP Routing", "Heroku headers"; RFC 9110,
//! section 7.6.1, on what ends at a hop.

use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE, VIA,
};

use crate::framing::Framing;
use crate::head::Head;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
/// The header of a request's id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_START: HeaderName = HeaderName::from_static("x-request-start");

/// What Heroku's router calls itself.
const US: HeaderValue = HeaderValue::from_static("1.1 heroku-router");

/// What ends at this hop whether `Connection` names it or not.
const HOP: [HeaderName; 7] = [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// What a client cannot have dropped by naming it in `Connection`: what we vouch for, and what frames the message.
const KEPT: [HeaderName; 5] = [HOST, CONTENT_LENGTH, FORWARDED_FOR, REQUEST_ID, VIA];

/// How a request came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'r> {
    /// The addresses it came by, the client's own last.
    pub(crate) fwd: &'r str,
    /// `http` or `https`.
    pub(crate) protocol: &'static str,
    /// The port it was sent to.
    pub(crate) port: u16,
    /// Its id.
    pub(crate) request_id: &'r str,
}

/// The headers that a dyno gets.
pub(crate) fn to_dyno(head: &Head, origin: &Origin<'_>) -> HeaderMap {
    let mut headers = head.headers.clone();
    strip(&mut headers);
    headers.remove(EXPECT); // Answered here.
    if let Some(host) = &head.host {
        set(&mut headers, HOST, host.as_str());
    }
    headers.remove(CONTENT_LENGTH);
    if let Framing::Length(length) = head.framing {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Some(protocol) = &head.upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol.clone());
    }
    set(&mut headers, FORWARDED_FOR, origin.fwd);
    set(&mut headers, FORWARDED_PROTO, origin.protocol);
    headers.insert(FORWARDED_PORT, HeaderValue::from(origin.port));
    set(&mut headers, REQUEST_ID, origin.request_id);
    set(&mut headers, REQUEST_START, &unix_millis().to_string());
    headers.append(VIA, US);
    headers
}

/// The headers that the platform's own parts get: they also learn the host that was asked for.
pub(crate) fn to_platform(head: &Head, origin: &Origin<'_>) -> HeaderMap {
    let mut headers = to_dyno(head, origin);
    headers.remove(FORWARDED_HOST);
    if let Some(host) = &head.host {
        set(&mut headers, FORWARDED_HOST, host.as_str());
    }
    headers
}

/// Removes what ends at this hop.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().filter(|name| !KEPT.contains(name)).chain(&HOP) {
        headers.remove(name);
    }
}

/// Adds what every answer gets.
pub(crate) fn sign(headers: &mut HeaderMap) {
    headers.append(VIA, US);
}

/// The addresses a request came by: those that the client says, then the client's own.
pub(crate) fn came_by(headers: &HeaderMap, client: std::net::IpAddr) -> String {
    let said = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let mut addresses: Vec<&str> = said.filter(|value| !value.is_empty()).collect();
    let client = client.to_canonical().to_string();
    addresses.push(&client);
    addresses.join(", ")
}

/// The id of a request: the client's if it is one (Heroku Dev Center, "HTTP Request IDs"), else a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> String {
    let said = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let sound = |id: &&str| {
        (20..=200).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    said.filter(sound).map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

fn unix_millis() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    fn forwarded(fields: &str) -> HeaderMap {
        let mut buffer = BytesMut::from(format!("GET / HTTP/1.1\r\nHost: a:1\r\n{fields}\r\n").as_str());
        let end = buffer.len();
        let head = crate::head::take(&mut buffer, end).unwrap();
        let fwd = came_by(&head.headers, [1, 2, 3, 4].into());
        let request_id = request_id(&head.headers);
        to_dyno(&head, &Origin { fwd: &fwd, protocol: "http", port: 80, request_id: &request_id })
    }

    #[test]
    fn a_dyno_learns_where_a_request_came_from() {
        let headers = forwarded("");
        assert_eq!(headers[&FORWARDED_FOR], "1.2.3.4");
        assert_eq!(headers[&FORWARDED_PROTO], "http");
        assert_eq!(headers[&FORWARDED_PORT], "80");
        assert_eq!(headers[VIA], "1.1 heroku-router");
        assert_eq!(headers[HOST], "a:1");
        assert_eq!(headers[&REQUEST_ID].len(), 36);
        assert!(headers[&REQUEST_START].to_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000_000);
    }

    #[test]
    fn what_a_client_says_of_itself_is_appended_to_or_replaced() {
        let headers = forwarded(
            "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Port: 443\r\nX-Request-Start: 1\r\nVia: 1.0 x\r\nConnection: X-Forwarded-For, Host, Via\r\n",
        );
        assert_eq!(headers.get_all(&FORWARDED_FOR).iter().collect::<Vec<_>>(), ["9.9.9.9, 8.8.8.8, 1.2.3.4"]);
        assert_eq!(headers.get_all(&FORWARDED_PROTO).iter().collect::<Vec<_>>(), ["http"]);
        assert_eq!(headers[&FORWARDED_PORT], "80");
        assert_ne!(headers[&REQUEST_START], "1");
        assert_eq!(headers.get_all(VIA).iter().collect::<Vec<_>>(), ["1.0 x", "1.1 heroku-router"]);
        assert_eq!(headers[HOST], "a:1");
    }

    #[test]
    fn what_ends_at_this_hop_does_not_go_on() {
        let headers = forwarded("Connection: close, X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\nKeep-Alive: 5\r\nX: y\r\n");
        for gone in ["connection", "x-mine", "te", "keep-alive"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
        assert_eq!(headers["x"], "y");
    }

    #[test]
    fn a_sound_request_id_is_kept() {
        let id = "0123456789-abcdefghij";
        assert_eq!(forwarded(&format!("X-Request-Id: {id}\r\n"))[&REQUEST_ID], id);
        for unsound in ["short", "0123456789 abcdefghij", &"a".repeat(201)] {
            assert_ne!(forwarded(&format!("X-Request-Id: {unsound}\r\n"))[&REQUEST_ID], unsound);
        }
    }
}
