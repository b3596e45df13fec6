//! Each of Heroku's codes with its status, its page and its line.

use std::time::Duration;

use router::Timeouts;
use routes_table::{FromRouter, Web};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{House, at, dyno, head, nobody, saying, table, to_end};

const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn what_stands_behind_an_app() {
    for (web, code, status, description) in [
        (Web::Crashed, "H10", 503, "App crashed"),
        (Web::None, "H14", 503, "No web processes running"),
        (Web::Blank, "H81", 502, "Blank app"),
    ] {
        let mut house = House::serving(web).await;
        house.expect_code(code, status, &format!("at=error code={code} desc=\"{description}\"")).await;
    }
    let mut maintained = table(1, Web::None);
    maintained.apps[0].maintenance = true;
    let mut house = House::start(maintained, Timeouts::default(), 1000).await;
    house.expect_code("H80", 503, "at=info code=H80 desc=\"Maintenance mode\"").await;
}

#[tokio::test]
async fn a_dyno_that_refuses_or_closes_or_talks_nonsense() {
    let mut house = House::serving(Web::Up(vec![at("web.1", nobody().into())])).await;
    house.expect_code("H21", 503, "at=error code=H21 desc=\"Backend connection refused\"").await;
    let closes = dyno(|mut stream| async move { drop(head(&mut stream).await) }).await;
    let mut house = House::serving(Web::Up(vec![closes])).await;
    house.expect_code("H13", 503, "at=error code=H13 desc=\"Connection closed without response\"").await;
    let mut house = House::serving(Web::Up(vec![saying("What?\r\n\r\n").await])).await;
    house.expect_code("H17", 503, "at=error code=H17 desc=\"Poorly formatted HTTP response\"").await;
    let boasts = dyno(|mut stream| async move {
        head(&mut stream).await;
        let answer = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(600 * 1024));
        _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let mut house = House::serving(Web::Up(vec![boasts])).await;
    house.expect_code("H25", 502, "at=error code=H25 desc=\"HTTP Restriction\"").await;
}

#[tokio::test]
async fn a_dyno_that_is_silent() {
    let timeouts = Timeouts { first_byte: SHORT, idle: SHORT, ..Timeouts::default() };
    let mut house = House::start(table(1, Web::Up(vec![saying("").await])), timeouts, 1000).await;
    house.expect_code("H12", 503, "at=error code=H12 desc=\"Request timeout\"").await;
    let stops = saying("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await;
    let mut house = House::start(table(1, Web::Up(vec![stops])), timeouts, 1000).await;
    assert!(house.get("/").await.ends_with("abc"));
    let line = house.control.line().await;
    assert!(line.starts_with("at=error code=H15 desc=\"Idle connection\" method=GET"), "{line}");
    assert!(line.contains(" dyno=web.1 ") && line.contains(" status=503 bytes=3 "), "{line}");
}

#[tokio::test]
async fn a_dyno_that_closes_in_the_middle() {
    let breaks = dyno(|mut stream| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await.unwrap();
    })
    .await;
    let mut house = House::serving(Web::Up(vec![breaks])).await;
    let answer = house.get("/").await;
    assert!(answer.ends_with("3\r\nabc\r\n"), "a truncated answer must not look whole: {answer}");
    let line = house.control.line().await;
    assert!(line.starts_with("sock=backend at=error code=H18 desc=\"Server Request Interrupted\" "), "{line}");
}

#[tokio::test]
async fn a_dyno_that_does_not_take_connections() {
    let timeouts = Timeouts { connect: SHORT, ..Timeouts::default() };
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts: once the queue is full, the kernel lets further connections wait.
    let mut queued = Vec::new();
    while let Ok(connected) = tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
        queued.push(connected.unwrap());
    }
    let mut house = House::start(table(1, Web::Up(vec![at("web.1", address)])), timeouts, 1000).await;
    house.expect_code("H19", 503, "at=error code=H19 desc=\"Backend connection timeout\"").await;
}

#[tokio::test]
async fn an_app_that_boots() {
    let timeouts = Timeouts { boot: SHORT, ..Timeouts::default() };
    let mut house = House::start(table(1, Web::Booting), timeouts, 1000).await;
    house.expect_code("H20", 503, "at=error code=H20 desc=\"App boot timeout\"").await;

    let first = table(1, Web::Booting);
    let mut house = House::start(first.clone(), Timeouts::default(), 1000).await;
    let mut client = TcpStream::connect(house.address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: sushi.localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let up = saying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nup").await;
    let mut second = first;
    second.version = 2;
    second.apps[0].web = Web::Up(vec![up]);
    assert!(matches!(house.control.publish(second).await, FromRouter::Acknowledge { version: 2, .. }));
    assert!(to_end(&mut client).await.ends_with("up"));
}

#[tokio::test]
async fn a_client_that_leaves_or_stalls() {
    let timeouts = Timeouts { idle: SHORT, ..Timeouts::default() };
    let mut house = House::start(table(1, Web::Up(vec![saying("").await])), timeouts, 1000).await;
    let mut client = TcpStream::connect(house.address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: sushi.localhost\r\n\r\n").await.unwrap();
    drop(client);
    let line = house.control.line().await;
    assert!(line.starts_with("sock=client at=warning code=H27 desc=\"Client Request Interrupted\" "), "{line}");
    assert!(line.contains(" status=499 "), "{line}");
    let mut client = TcpStream::connect(house.address).await.unwrap();
    client.write_all(b"POST / HTTP/1.1\r\nHost: sushi.localhost\r\nContent-Length: 9\r\n\r\nabc").await.unwrap();
    assert_eq!(to_end(&mut client).await, "");
    let line = house.control.line().await;
    assert!(line.starts_with("sock=client at=warning code=H28 desc=\"Client Connection Idle\" "), "{line}");
}

#[tokio::test]
async fn what_nobody_can_expect_and_what_cannot_be_read() {
    let mut house = House::serving(Web::Up(vec![saying("").await])).await;
    let request = "GET / HTTP/1.1\r\nHost: sushi.localhost\r\nExpect: tea\r\nConnection: close\r\n\r\n";
    assert!(house.raw(request).await.starts_with("HTTP/1.1 417 "));
    assert!(house.control.line().await.contains("code=H26 desc=\"Request Error\""));
    let request = "POST / HTTP/1.1\r\nHost: sushi.localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n";
    assert!(house.raw(request).await.starts_with("HTTP/1.1 400 "));
    assert!(house.control.line().await.contains("code=H26 desc=\"Request Error\""));
}

#[tokio::test]
async fn too_many_connections() {
    let mut house = House::start(table(1, Web::None), Timeouts::default(), 1).await;
    let mut first = TcpStream::connect(house.address).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nHost: sushi.localhost\r\n\r\n").await.unwrap();
    assert!(house.control.line().await.contains("code=H14"));
    house.expect_code("H22", 503, "at=error code=H22 desc=\"Connection limit reached\"").await;
}
