//! Every request with more than one reading gets 400 and the end of its connection, and no dyno sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use routes_table::Web;
use tokio::io::AsyncWriteExt;

use crate::harness::{House, dyno, head, saying};

/// A request that must not be answered when it stands behind one that is refused.
const CANARY: &str = "GET /canary HTTP/1.1\r\nHost: sushi.localhost\r\n\r\n";

#[tokio::test]
async fn what_has_two_readings_is_refused() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let target = dyno(move |mut stream| {
        let counter = Arc::clone(&counter);
        async move {
            while !head(&mut stream).await.is_empty() {
                counter.fetch_add(1, SeqCst);
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
        }
    })
    .await;
    let house = House::serving(Web::Up(vec![target])).await;
    let post = |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: sushi.localhost\r\n{fields}\r\n{body}");
    let heads = [
        ("length and chunks", post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        ("two lengths", post("Content-Length: 4\r\nContent-Length: 5\r\n", "abcd")),
        ("two equal lengths", post("Content-Length: 4\r\nContent-Length: 4\r\n", "abcd")),
        ("a list of lengths", post("Content-Length: 4, 4\r\n", "abcd")),
        ("a signed length", post("Content-Length: +4\r\n", "abcd")),
        ("two encodings", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")),
        ("an unknown encoding", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")),
        ("chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        ("a blank before the colon", post("Content-Length : 4\r\n", "abcd")),
        ("a folded line", post("X: a\r\n b\r\n", "")),
        ("a bare LF", "GET / HTTP/1.1\nHost: sushi.localhost\n\n".to_owned()),
        ("a bare CR", post("X: a\rb\r\n", "")),
        ("a NUL", post("X: a\0b\r\n", "")),
        ("two hosts", post("Host: other.localhost\r\n", "")),
        ("no host", "GET / HTTP/1.1\r\n\r\n".to_owned()),
        ("chunks in 1.0", "POST / HTTP/1.0\r\nHost: sushi.localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()),
        ("another host in the target", "GET http://other/ HTTP/1.1\r\nHost: sushi.localhost\r\n\r\n".to_owned()),
    ];
    for (name, request) in heads {
        let answer = house.raw(request + CANARY).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{name}: {answer}");
        assert!(answer.contains("connection: close\r\n"), "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: {answer}");
    }
    assert_eq!(seen.load(SeqCst), 0, "a dyno saw a request that was refused");
    // This one waits for the whole body, as most do.
    let house = House::serving(Web::Up(vec![saying("").await])).await;
    for (name, body) in [
        ("a size in C", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("a size too large", "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
        ("a bare LF after the size", "5\nhello\r\n0\r\n\r\n"),
        ("a signed size", "+5\r\nhello\r\n0\r\n\r\n"),
        ("data longer than its size", "4\r\nhello\r\n0\r\n\r\n"),
    ] {
        let answer = house.raw(post("Transfer-Encoding: chunked\r\n", body) + CANARY).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{name}: {answer}");
        assert!(answer.contains("connection: close\r\n"), "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: {answer}");
    }
}

#[tokio::test]
async fn limits_have_statuses_of_their_own() {
    let house = House::serving(Web::None).await;
    let request = |line: &str, fields: &str| format!("{line} HTTP/1.1\r\nHost: sushi.localhost\r\n{fields}\r\n");
    for (request, status) in [
        (request(&format!("GET /{}", "a".repeat(9000)), ""), 414),
        (request("GET /", &format!("X: {}\r\n", "a".repeat(9000))), 431),
        (request("GET /", &"X: y\r\n".repeat(1001)), 431),
        (request("CONNECT sushi.localhost:1", ""), 405),
    ] {
        let answer = house.raw(request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
    }
    let answer = house.raw("GET / HTTP/1.1\r\nHost: other.localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("No such app"), "{answer}");
}
