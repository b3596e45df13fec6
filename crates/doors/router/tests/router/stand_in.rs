//! `CONNECT`: what comes inside is a connection to the platform itself, and to nobody else.

use routes_table::Web;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::connect::carried;
use crate::harness::{House, head, saying, to_end};
use crate::rendezvous::with_tls;
use crate::tables::handshake_over;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const ASKED: &[u8] = b"GET / HTTP/1.1\r\nHost: sushi.localhost\r\nConnection: close\r\n\r\n";

async fn connect(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), target: &str) -> String {
    // As the official command does it: `Host` is the proxy's.
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: 127.0.0.1:5080\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    head(stream).await
}

async fn through(house: &House, target: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let head = connect(&mut stream, target).await;
    (stream, head)
}

#[tokio::test]
async fn what_comes_inside_is_served_plain_and_through_tls() {
    let house = with_tls(Web::Up(vec![saying(OK).await]), 1000).await;
    for target in ["telex.heroku.com:443", "Telex.Heroku.com:5080", "127.0.0.1:5080", "localhost:1"] {
        let (mut plain, head) = through(&house, target).await;
        assert_eq!(head, "HTTP/1.1 200 Connection established\r\n\r\n", "{target}");
        plain.write_all(ASKED).await.unwrap();
        assert!(to_end(&mut plain).await.ends_with("ok"), "{target}");
        let mut tls = handshake_over(through(&house, target).await.0, "localhost", &[]).await.unwrap();
        tls.write_all(ASKED).await.unwrap();
        assert!(to_end(&mut tls).await.ends_with("ok"), "{target}");
    }
}

#[tokio::test]
async fn what_an_agent_carries_may_say_it_as_well() {
    let house = with_tls(Web::Up(vec![saying(OK).await]), 1000).await;
    let mut plain = carried(&house).await;
    assert!(connect(&mut plain, "telex.heroku.com:5080").await.starts_with("HTTP/1.1 200 "));
    plain.write_all(ASKED).await.unwrap();
    assert!(to_end(&mut plain).await.ends_with("ok"));
    let mut carried = carried(&house).await;
    assert!(connect(&mut carried, "telex.heroku.com:443").await.starts_with("HTTP/1.1 200 "));
    let mut tls = handshake_over(carried, "localhost", &[]).await.unwrap();
    tls.write_all(ASKED).await.unwrap();
    assert!(to_end(&mut tls).await.ends_with("ok"));
}

#[tokio::test]
async fn no_other_host_is_reached() {
    let house = with_tls(Web::None, 1000).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = listener.local_addr().unwrap();
    for target in
        ["github.com:443", "api.heroku.com:443", "particleboard.heroku.com:443", "10.0.0.1:22", "[2001:db8::1]:80"]
    {
        let (mut stream, head) = through(&house, target).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{target}: {head}");
        assert!(head.contains("connection: close\r\n"), "{target}: {head}");
        assert!(to_end(&mut stream).await.contains("leads nowhere else"), "{target}");
    }
    assert!(through(&house, "sushi.localhost:80").await.1.starts_with("HTTP/1.1 405 "));
    // A program of this machine that listens there hears nothing: it is the platform that answers.
    let (mut stream, head) = through(&house, &near.to_string()).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    stream.write_all(ASKED).await.unwrap();
    assert!(to_end(&mut stream).await.starts_with("HTTP/1.1 503 "));
    let accepted = tokio::time::timeout(std::time::Duration::from_millis(1), listener.accept()).await;
    assert!(accepted.is_err(), "somebody connected to {near}");
}

#[tokio::test]
async fn one_in_another_through_tls_and_before_our_word_are_refused() {
    let house = with_tls(Web::None, 1000).await;
    let (mut inside, _) = through(&house, "telex.heroku.com:443").await;
    assert!(connect(&mut inside, "telex.heroku.com:443").await.starts_with("HTTP/1.1 400 "));
    let socket = TcpStream::connect(house.address).await.unwrap();
    let mut tls = handshake_over(socket, "localhost", &[]).await.unwrap();
    assert!(connect(&mut tls, "telex.heroku.com:443").await.starts_with("HTTP/1.1 400 "));
    for behind in ["GET / HTTP/1.1\r\nHost: sushi.localhost\r\n\r\n", "\u{16}"] {
        let mut early = TcpStream::connect(house.address).await.unwrap();
        let request = format!("CONNECT telex.heroku.com:443 HTTP/1.1\r\nHost: a\r\n\r\n{behind}");
        early.write_all(request.as_bytes()).await.unwrap();
        let answer = to_end(&mut early).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.matches("HTTP/1.1 ").count() == 1, "{answer}");
    }
    let (agent, _) = through(&house, "telex.heroku.com:443").await;
    if let Ok(mut agent) = handshake_over(agent, "localhost", router::CONNECT_PROTOCOL).await {
        _ = agent.write_all(ASKED).await;
        assert_eq!(to_end(&mut agent).await, "");
    }
}
