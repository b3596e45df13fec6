//! The client against real sockets on this machine, which the operator opened.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::HeaderMap;
use outbound::{Failed, Outbound, Rules, Target};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Listens, answers every connection so, and counts them.
async fn server(answer: &'static [u8], tls: Option<TlsAcceptor>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            match tls.clone() {
                None => drop(tokio::spawn(serve(stream, answer))),
                Some(tls) => drop(tokio::spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, answer).await;
                    }
                })),
            }
        }
    });
    (at, count)
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answer: &'static [u8]) {
    let mut head = [0; 4096];
    let read = stream.read(&mut head).await.unwrap_or(0);
    if read > 0 && stream.write_all(answer).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

fn client(opened: SocketAddr, ca_bundle: Option<&Path>) -> Outbound {
    let rule = format!("{}:{}", opened.ip(), opened.port()).parse().unwrap();
    Outbound::new(Rules::new(vec![rule]), ca_bundle).unwrap()
}

async fn post(client: &Outbound, url: &str) -> Result<u16, Failed> {
    let target = Target::parse(url, client.rules()).unwrap();
    client.post(&target, HeaderMap::new(), Bytes::from_static(b"{}")).await.map(|status| status.as_u16())
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let (canary, seen) = server(b"HTTP/1.1 200 OK\r\n\r\n", None).await;
    let location = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{canary}/\r\n\r\n");
    let (at, asked) = server(location.leak().as_bytes(), None).await;
    assert_eq!(post(&client(at, None), &format!("http://{at}/")).await.unwrap(), 307);
    assert_eq!((asked.load(Ordering::SeqCst), seen.load(Ordering::SeqCst)), (1, 0));
}

#[tokio::test]
async fn only_the_head_of_an_answer_is_read() {
    // Its body never comes.
    let (at, _) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", None).await;
    assert_eq!(post(&client(at, None), &format!("http://{at}/")).await.unwrap(), 200);
}

#[tokio::test]
async fn what_is_no_answer_is_told_apart() {
    let (at, _) = server(b"SSH-2.0-OpenSSH\r\n\r\n", None).await;
    assert_eq!(post(&client(at, None), &format!("http://{at}/")).await.unwrap_err().class(), "ProtocolError");
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(64 * 1024));
    let (at, _) = server(long.leak().as_bytes(), None).await;
    assert_eq!(post(&client(at, None), &format!("http://{at}/")).await.unwrap_err().class(), "ProtocolError");
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = post(&client(unused, None), &format!("http://{unused}/")).await.unwrap_err();
    assert_eq!(refused.class(), "ConnectionError");
}

#[tokio::test(start_paused = true)]
async fn whoever_never_answers_is_given_up_after_15_s() {
    let (at, _) = server(b"", None).await;
    let began = tokio::time::Instant::now();
    assert_eq!(post(&client(at, None), &format!("http://{at}/")).await.unwrap_err().class(), "Timeout");
    assert_eq!(began.elapsed().as_secs(), 15);
}

#[tokio::test]
async fn tls_is_for_the_name_and_by_whom_one_trusts() {
    let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let (at, _) = server(b"HTTP/1.1 204 No Content\r\n\r\n", Some(TlsAcceptor::from(Arc::new(config)))).await;
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    std::fs::write(&bundle, signed.cert.pem()).unwrap();
    assert_eq!(post(&client(at, Some(&bundle)), &format!("https://{at}/")).await.unwrap(), 204);
    assert_eq!(post(&client(at, None), &format!("https://{at}/")).await.unwrap_err().class(), "TLSError");
}

#[tokio::test]
async fn what_was_not_opened_sees_no_connection() {
    let (at, seen) = server(b"HTTP/1.1 200 OK\r\n\r\n", None).await;
    let (opened, _) = server(b"HTTP/1.1 200 OK\r\n\r\n", None).await;
    let opened_client = client(opened, None);
    // The address is good under the one client's rules, and refused by the other.
    let target = Target::parse(&format!("http://{at}/"), client(at, None).rules()).unwrap();
    let refused = opened_client.post(&target, HeaderMap::new(), Bytes::new()).await.unwrap_err();
    assert_eq!((refused.class(), seen.load(Ordering::SeqCst)), ("AddressRefused", 0));
}
