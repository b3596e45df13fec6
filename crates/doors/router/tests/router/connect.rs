//! Connections that an agent carries: each is served as one of its own.

use routes_table::Web;
use routes_table::rendezvous::Answer;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::harness::{House, saying, to_end};
use crate::rendezvous::{SECRET, at_rendezvous, piece, with_tls};
use crate::tables::handshake_over;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const ASKED: &[u8] = b"GET / HTTP/1.1\r\nHost: sushi.localhost\r\nConnection: close\r\n\r\n";

pub(crate) async fn carried(house: &House) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(house.address).await.unwrap();
    let carried = handshake_over(stream, "localhost", router::CONNECT_PROTOCOL).await.unwrap();
    assert_eq!(carried.get_ref().1.alpn_protocol(), Some(router::CONNECT_PROTOCOL));
    carried
}

#[tokio::test]
async fn a_request_is_served_as_one_from_here() {
    let mut house = with_tls(Web::Up(vec![saying(OK).await]), 1000).await;
    let mut client = carried(&house).await;
    client.write_all(ASKED).await.unwrap();
    assert!(to_end(&mut client).await.ends_with("ok"));
    let line = house.control.line().await;
    assert!(line.contains(" fwd=\"127.0.0.1\" ") && line.ends_with(" protocol=http"), "{line}");
    let mut client = handshake_over(carried(&house).await, "localhost", &[]).await.unwrap();
    client.write_all(ASKED).await.unwrap();
    assert!(to_end(&mut client).await.ends_with("ok"));
    assert!(house.control.line().await.ends_with(" protocol=https"));
}

#[tokio::test]
async fn a_client_with_a_secret_meets_its_program() {
    let house = with_tls(Web::None, 1000).await;
    let (mut program, control) = at_rendezvous(&house, Answer::Joined { is_terminal: true });
    let mut client = handshake_over(carried(&house).await, "localhost", &[]).await.unwrap();
    client.write_all(format!("{SECRET}\r\n").as_bytes()).await.unwrap();
    assert_eq!(control.await.unwrap(), SECRET);
    assert_eq!(piece(&mut client).await, "rendezvous\r\n");
    client.write_all(b"ls\r").await.unwrap();
    assert_eq!(piece(&mut program).await, "ls\r");
    program.write_all(b"app\r\n").await.unwrap();
    assert_eq!(piece(&mut client).await, "app\r\n");
    drop(client);
    assert_eq!(piece(&mut program).await, "");
}

#[tokio::test]
async fn a_secret_without_tls_of_its_own_is_no_secret() {
    let house = with_tls(Web::None, 1000).await;
    let mut client = carried(&house).await;
    client.write_all(format!("{SECRET}\r\n\r\n").as_bytes()).await.unwrap();
    assert!(to_end(&mut client).await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn one_in_another_is_refused_and_so_is_one_too_many() {
    let house = with_tls(Web::Up(vec![saying(OK).await]), 8).await;
    let nested = handshake_over(carried(&house).await, "localhost", router::CONNECT_PROTOCOL).await;
    if let Ok(mut nested) = nested {
        // The last word of a handshake is the client's: that it was refused is seen behind it.
        _ = nested.write_all(ASKED).await;
        assert_eq!(to_end(&mut nested).await, "");
    }
    let kept = [carried(&house).await, carried(&house).await];
    let mut surplus = carried(&house).await;
    _ = surplus.write_all(ASKED).await;
    assert_eq!(to_end(&mut surplus).await, "", "a quarter of eight may be carried");
    drop(kept);
    assert!(house.get("/").await.ends_with("ok"), "those that come by themselves are not touched");
}
