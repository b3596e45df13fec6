//! Platform hosts: control behind its socket, and what is said while it is away.

use std::time::Duration;

use router::Timeouts;
use routes_table::Web;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixListener};

use crate::harness::{House, head, table, to_end};

const REQUEST: &str = "GET /apps HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn control_answers_for_the_platform() {
    let house = House::serving(Web::None).await;
    let listener = UnixListener::bind(house.folder.path().join("control.sock")).unwrap();
    let control = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let asked = head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        asked
    });
    assert!(house.raw(REQUEST).await.ends_with("{}"));
    let asked = control.await.unwrap();
    assert!(asked.starts_with("GET /apps HTTP/1.1\r\n"), "{asked}");
    for header in ["x-forwarded-host: localhost:1", "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http"] {
        assert!(asked.contains(&format!("{header}\r\n")), "{asked}");
    }
}

#[tokio::test]
async fn a_restart_of_control_is_waited_for() {
    let house = House::serving(Web::None).await;
    let mut client = TcpStream::connect(house.address).await.unwrap();
    let post = "POST /apps HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    client.write_all(post.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await; // Control is away for so long.
    let listener = UnixListener::bind(house.folder.path().join("control.sock")).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        head(&mut stream).await;
    });
    assert!(to_end(&mut client).await.starts_with("HTTP/1.1 201 Created\r\n"));
}

#[tokio::test]
async fn control_that_stays_away_is_told_in_the_words_of_the_api() {
    let timeouts = Timeouts { control: Duration::from_millis(100), ..Timeouts::default() };
    let house = House::start(table(1, Web::None), timeouts, 1000).await;
    let answer = house.raw(REQUEST).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1\r\n"), "{answer}");
    assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
    assert!(answer.contains("{\"id\":\"service_unavailable\",\"message\":"), "{answer}");
}
