//! Clients that come with a secret: what they are told, and what passes between them and their program.

use std::os::fd::AsFd;

use router::Timeouts;
use routes_table::rendezvous::{Answer, Join};
use routes_table::{Leaf, Web};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use wire::Connection;

use crate::harness::{House, PATIENCE, table, to_end};
use crate::tables::handshake;

pub(crate) const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDE-_";

/// A router that speaks TLS.
pub(crate) async fn with_tls(web: Web, max_connections: usize) -> House {
    let mut table = table(1, web);
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = vocabulary::Secret::new(made.signing_key.serialize_pem());
    table.leaves = vec![Leaf { names: vec!["localhost".to_owned()], chain: made.cert.pem(), key }];
    House::start(table, Timeouts::default(), max_connections).await
}

/// A router, control at its rendezvous, and a client that said its secret.
async fn meet(answer: Answer) -> (House, TlsStream<TcpStream>, UnixStream, String) {
    let house = with_tls(Web::None, 1000).await;
    let (program, control) = at_rendezvous(&house, answer);
    let mut client = handshake(&house, "localhost").await;
    client.write_all(format!("{SECRET}\r\n").as_bytes()).await.unwrap();
    (house, client, program, control.await.unwrap())
}

/// Control's end of one rendezvous: the program, and the secret that came.
pub(crate) fn at_rendezvous(house: &House, answer: Answer) -> (UnixStream, tokio::task::JoinHandle<String>) {
    let listener = UnixListener::bind(house.folder.path().join("rendezvous.sock")).unwrap();
    let (program, streams) = UnixStream::pair().unwrap();
    let control = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut router = Connection::new(stream).unwrap();
        let (Join { secret }, _) = router.receiver.receive().await.unwrap().unwrap();
        let fds = if matches!(answer, Answer::Joined { .. }) { vec![streams.as_fd()] } else { vec![] };
        router.sender.send(&answer, &fds).await.unwrap();
        secret.reveal().to_owned()
    });
    (program, control)
}

pub(crate) async fn piece(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = vec![0; 64 * 1024];
    let count = timeout(PATIENCE, stream.read(&mut bytes)).await.unwrap().unwrap();
    String::from_utf8(bytes[..count].to_vec()).unwrap()
}

#[tokio::test]
async fn a_client_meets_its_program_by_its_secret() {
    let (_house, mut client, mut program, secret) = meet(Answer::Joined { is_terminal: false }).await;
    assert_eq!(secret, SECRET);
    assert_eq!(piece(&mut client).await, "rendezvous\r\n");
    client.write_all(b"input").await.unwrap();
    assert_eq!(piece(&mut program).await, "input");
    client.write_all(b"\x04").await.unwrap();
    assert_eq!(piece(&mut program).await, "", "byte 4 ends the input");
    program.write_all("before \u{FFFF} heroku-command-exit-status: 1".as_bytes()).await.unwrap();
    assert_eq!(piece(&mut client).await, "before ");
    program.write_all(b"2\n").await.unwrap();
    assert_eq!(piece(&mut client).await, "\u{FFFF} heroku-command-exit-status: 12\n");
    program.write_all(b"last").await.unwrap();
    drop(program);
    assert_eq!(to_end(&mut client).await, "last");
}

#[tokio::test]
async fn a_terminal_gets_every_byte_and_hangs_up_with_its_client() {
    let (_house, mut client, mut program, _) = meet(Answer::Joined { is_terminal: true }).await;
    piece(&mut client).await;
    client.write_all(b"\x03\x04").await.unwrap();
    assert_eq!(piece(&mut program).await, "\x03\x04");
    drop(client);
    assert_eq!(piece(&mut program).await, "");
    assert!(program.write_all(b"x").await.is_err(), "nobody is there any more");
}

#[tokio::test]
async fn what_went_wrong_is_told_and_a_guess_is_told_nothing() {
    let (_house, mut client, _, _) = meet(Answer::Failed { reason: "no luck".to_owned() }).await;
    assert_eq!(to_end(&mut client).await, "rendezvous\r\n !     no luck\r\n");
    let (_house, mut client, _, _) = meet(Answer::Unknown).await;
    assert_eq!(to_end(&mut client).await, "");
}
