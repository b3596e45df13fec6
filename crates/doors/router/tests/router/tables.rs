//! Tables that change, dynos that leave, routers that restart; certificates.

use std::sync::Arc;
use std::time::Duration;

use router::Timeouts;
use routes_table::{FromRouter, InFlight, Leaf, Web};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::harness::{House, dyno, head, saying, table, to_end};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn a_dyno_that_left_is_drained_and_gets_no_more_requests() {
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, gone) = (Arc::clone(&arrived), Arc::clone(&go));
    let slow = dyno(move |mut stream| {
        let (told, gone) = (Arc::clone(&told), Arc::clone(&gone));
        async move {
            head(&mut stream).await;
            told.notify_one();
            gone.notified().await;
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let first = table(1, Web::Up(vec![slow.clone()]));
    let mut house = House::start(first.clone(), Timeouts::default(), 1000).await;
    let mut client = TcpStream::connect(house.address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: sushi.localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    arrived.notified().await;
    let mut second = first;
    second.version = 2;
    second.apps[0].web = Web::Up(vec![saying(OK).await]);
    let acknowledged = house.control.publish(second.clone()).await;
    let FromRouter::Acknowledge { version: 2, in_flight } = acknowledged else { panic!("{acknowledged:?}") };
    assert_eq!(in_flight, [InFlight { dyno: slow.id, requests: 1 }]);
    assert!(house.get("/").await.ends_with("ok"));
    go.notify_one();
    assert!(to_end(&mut client).await.ends_with("ok"));
    let drained = house.control.hear(|message| matches!(message, FromRouter::Drained { .. })).await;
    assert!(matches!(drained, FromRouter::Drained { dyno } if dyno == slow.id));
    second.version = 1;
    assert!(matches!(house.control.publish(second).await, FromRouter::Refuse { version: 1, .. }));
}

#[tokio::test]
async fn changes_under_load_lose_nothing() {
    let (one, two) = (saying(OK).await, saying(OK).await);
    let mut next = table(1, Web::Up(vec![one.clone()]));
    let mut house = House::start(next.clone(), Timeouts::default(), 1000).await;
    let address = house.address;
    let load = tokio::spawn(async move {
        for _ in 0..300 {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(b"GET / HTTP/1.1\r\nHost: sushi.localhost\r\nConnection: close\r\n\r\n").await.unwrap();
            let answer = to_end(&mut client).await;
            assert!(answer.ends_with("ok"), "{answer}");
        }
    });
    while !load.is_finished() {
        next.version += 1;
        next.apps[0].web = Web::Up(vec![if next.version.is_multiple_of(2) { two.clone() } else { one.clone() }]);
        assert!(matches!(house.control.publish(next.clone()).await, FromRouter::Acknowledge { .. }));
    }
    load.await.unwrap();
}

#[tokio::test]
async fn the_kept_table_is_served_without_control() {
    let house = House::serving(Web::Up(vec![saying(OK).await])).await;
    let house = house.restart_without_control().await;
    assert!(house.get("/").await.ends_with("ok"));
}

#[tokio::test]
async fn a_shutdown_finishes_what_is_under_way() {
    let slow = dyno(|mut stream| async move {
        head(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    let mut house = House::serving(Web::Up(vec![slow])).await;
    let _idle = TcpStream::connect(house.address).await.unwrap();
    let mut client = TcpStream::connect(house.address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: sushi.localhost\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await; // The request is at the dyno by then.
    house.stop().await;
    let answer = to_end(&mut client).await;
    assert!(answer.ends_with("ok") && answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_retirement_loses_nobody() {
    let mut house = House::serving(Web::Up(vec![saying(OK).await])).await;
    let mut kept = TcpStream::connect(house.address).await.unwrap();
    let asked = b"GET / HTTP/1.1\r\nHost: sushi.localhost\r\n\r\n";
    kept.write_all(asked).await.unwrap();
    house.control.line().await;
    house.ask_to_retire();
    // It accepts no more, and what it has goes on.
    while TcpStream::connect(house.address).await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(!house.has_ended());
    kept.write_all(asked).await.unwrap();
    let answers = to_end(&mut kept).await;
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 2, "{answers}");
    assert!(answers.to_lowercase().contains("connection: close\r\n"), "{answers}");
    while !house.has_ended() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn tls_by_name() {
    let mut first = table(1, Web::Up(vec![saying(OK).await]));
    let leaf = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let key = vocabulary::Secret::new(made.signing_key.serialize_pem());
        Leaf { names: vec![name.to_owned()], chain: made.cert.pem(), key }
    };
    first.apps.push(routes_table::AppRoute { app: vocabulary::AppId::new(), ..first.apps[0].clone() });
    first.hosts.insert("other.localhost".to_owned(), 1);
    first.leaves = vec![leaf("localhost"), leaf("*.localhost")];
    let mut house = House::start(first.clone(), Timeouts::default(), 1000).await;
    for (name, leaf) in [("localhost", 0), ("sushi.localhost", 1), ("unknown.example", 0)] {
        let expected = rustls::pki_types::CertificateDer::from_pem_slice(first.leaves[leaf].chain.as_bytes()).unwrap();
        assert_eq!(handshake(&house, name).await.get_ref().1.peer_certificates().unwrap(), [expected], "{name}");
    }
    let mut client = handshake(&house, "sushi.localhost").await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: sushi.localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(to_end(&mut client).await.ends_with("ok"));
    assert!(house.control.line().await.ends_with(" protocol=https"));
    let mut client = handshake(&house, "sushi.localhost").await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: other.localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(to_end(&mut client).await.starts_with("HTTP/1.1 421 "));
    assert!(house.control.line().await.starts_with("at=error code=H31 desc=\"Misdirected Request\" "));
}

pub(crate) async fn handshake(house: &House, name: &str) -> tokio_rustls::client::TlsStream<TcpStream> {
    let stream = TcpStream::connect(house.address).await.unwrap();
    handshake_over(stream, name, &[]).await.unwrap()
}

/// A handshake over any stream, with a protocol named in it or none.
pub(crate) async fn handshake_over<S>(
    stream: S,
    name: &str,
    protocol: &[u8],
) -> std::io::Result<tokio_rustls::client::TlsStream<S>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    config.alpn_protocols = [protocol].iter().filter(|name| !name.is_empty()).map(|name| name.to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Trusts anyone: which certificate came is what the test looks at.
#[derive(Debug)]
struct Anyone(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
