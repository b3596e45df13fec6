//! Bodies both ways, connections that are kept, and upgrades.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use routes_table::Web;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{House, dyno, head, saying, to_end};

#[tokio::test]
async fn an_answer_is_passed_on_with_its_line() {
    let target =
        saying("HTTP/1.1 200 OK\r\nServer: mine\r\nX-A: b\r\nContent-Length: 5\r\nKeep-Alive: 9\r\n\r\nhello").await;
    let mut house = House::serving(Web::Up(vec![target])).await;
    let answer = house.get("/x").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"), "{answer}");
    for header in ["server: mine", "x-a: b", "via: 1.1 heroku-router", "connection: close", "content-length: 5"] {
        assert!(answer.contains(&format!("{header}\r\n")), "{answer}");
    }
    assert!(!answer.contains("keep-alive"), "{answer}");
    let line = house.control.line().await;
    assert!(line.starts_with("at=info method=GET path=\"/x\" host=sushi.localhost request_id="), "{line}");
    assert!(line.contains(" fwd=\"127.0.0.1\" dyno=web.1 connect=") && line.contains("ms service="), "{line}");
    assert!(line.ends_with("ms status=200 bytes=5 protocol=http"), "{line}");
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    let target = dyno(move |mut stream| {
        counter.fetch_add(1, SeqCst);
        async move {
            while !head(&mut stream).await.is_empty() {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            }
        }
    })
    .await;
    let house = House::serving(Web::Up(vec![target])).await;
    let mut client = TcpStream::connect(house.address).await.unwrap();
    for _ in 0..20 {
        client.write_all(b"GET / HTTP/1.1\r\nHost: sushi.localhost\r\n\r\n").await.unwrap();
        assert!(head(&mut client).await.contains("content-length: 2"));
        let mut body = [0; 2];
        client.read_exact(&mut body).await.unwrap();
    }
    assert_eq!(connections.load(SeqCst), 1);
    // Two requests at once are answered one after the other.
    let both = "GET / HTTP/1.1\r\nHost: sushi.localhost\r\n\r\nGET / HTTP/1.0\r\nHost: sushi.localhost\r\n\r\n";
    client.write_all(both.as_bytes()).await.unwrap();
    assert_eq!(to_end(&mut client).await.matches("HTTP/1.1 200 OK").count(), 2);
}

#[tokio::test]
async fn a_kept_connection_that_the_dyno_closed_loses_no_request() {
    // Says that it keeps the connection, and closes it when the second request is there.
    let target = dyno(|mut stream| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        head(&mut stream).await;
    })
    .await;
    let house = House::serving(Web::Up(vec![target])).await;
    for _ in 0..10 {
        assert!(house.get("/").await.ends_with("ok"));
    }
}

#[tokio::test]
async fn ten_megabytes_both_ways() {
    // Echoes the body in chunks as it comes.
    let target = dyno(|mut stream| async move {
        let head = head(&mut stream).await;
        let length: usize = head.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap().parse().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let (mut buffer, mut left) = (vec![0; 30_000], length);
        while left > 0 {
            let read = stream.read(&mut buffer).await.unwrap();
            left -= read;
            stream.write_all(format!("{read:x}\r\n").as_bytes()).await.unwrap();
            stream.write_all(&buffer[..read]).await.unwrap();
            stream.write_all(b"\r\n").await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    })
    .await;
    let mut house = House::serving(Web::Up(vec![target])).await;
    let client = TcpStream::connect(house.address).await.unwrap();
    let (mut read, mut write) = client.into_split();
    let length = 10 * 1024 * 1024;
    let sending = tokio::spawn(async move {
        let head = format!("POST / HTTP/1.0\r\nHost: sushi.localhost\r\nContent-Length: {length}\r\n\r\n");
        write.write_all(head.as_bytes()).await.unwrap();
        write.write_all(&vec![b'x'; length]).await.unwrap();
        write
    });
    // A 1.0 client gets no chunks: the body ends with the connection.
    let answer = to_end(&mut read).await;
    drop(sending.await.unwrap());
    assert!(!answer.contains("transfer-encoding"));
    assert_eq!(answer.split_once("\r\n\r\n").unwrap().1.len(), length);
    assert!(house.control.line().await.contains(&format!("status=200 bytes={length} ")));
}

#[tokio::test]
async fn chunks_both_ways_and_a_client_that_waits_to_be_asked() {
    let target = dyno(|mut stream| async move {
        assert!(head(&mut stream).await.contains("transfer-encoding: chunked"));
        let mut body = Vec::new();
        while !body.ends_with(b"0\r\n\r\n") {
            body.push(stream.read_u8().await.unwrap());
        }
        assert!(!String::from_utf8(body).unwrap().contains("Trailer"));
        let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Trailer: x\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let house = House::serving(Web::Up(vec![target])).await;
    let mut client = TcpStream::connect(house.address).await.unwrap();
    let request = "POST / HTTP/1.1\r\nHost: sushi.localhost\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\
                   Connection: close\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(head(&mut client).await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"5;x=y\r\nhello\r\n0\r\nTrailer: x\r\n\r\n").await.unwrap();
    let answer = to_end(&mut client).await;
    assert!(
        answer.contains("transfer-encoding: chunked\r\n") && answer.ends_with("\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn answers_without_a_body() {
    for (method, answer, length) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n", true),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", false),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 42\r\n\r\n", true),
    ] {
        let house = House::serving(Web::Up(vec![saying(answer).await])).await;
        let request = format!("{method} / HTTP/1.1\r\nHost: sushi.localhost\r\n\r\n");
        let last = format!("{method} / HTTP/1.1\r\nHost: sushi.localhost\r\nConnection: close\r\n\r\n");
        let answers = house.raw(request + &last).await;
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{answers}");
        assert_eq!(answers.contains("content-length: 42"), length, "{answers}");
        assert!(answers.ends_with("\r\n\r\n") && !answers.contains("transfer-encoding"), "{answers}");
    }
}

#[tokio::test]
async fn a_web_socket_is_a_tunnel() {
    let target = dyno(|mut stream| async move {
        let head = head(&mut stream).await;
        assert!(head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n"), "{head}");
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    })
    .await;
    let mut house = House::serving(Web::Up(vec![target])).await;
    let mut client = TcpStream::connect(house.address).await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: sushi.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly";
    client.write_all(request.as_bytes()).await.unwrap();
    let answer = head(&mut client).await;
    assert!(
        answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n") && answer.contains("upgrade: websocket"),
        "{answer}"
    );
    let mut echo = [0; 5];
    client.read_exact(&mut echo).await.unwrap();
    client.write_all(b"later").await.unwrap();
    client.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"later");
    client.shutdown().await.unwrap();
    assert_eq!(to_end(&mut client).await, "");
    assert!(house.control.line().await.contains("status=101 bytes=10 "));
}
