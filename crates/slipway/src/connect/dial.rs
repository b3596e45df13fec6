//! To the platform and back: TLS that trusts one authority, and a first look at an unknown one.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, IpAddr, ServerName, UnixTime};
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::Error;
use super::url::PlatformUrl;
use crate::fingerprint::Fingerprint;

/// How long a connection, and after it a handshake, may take.
const STEP: Duration = Duration::from_secs(10);
/// Silence after which the kernel asks whether the other side is there, so that a middlebox forgets no session and a
/// laptop that slept finds out: seconds of silence, between questions, and how many.
const KEEP_ALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(15), 4);

/// Opens connections to one platform.
#[derive(Clone)]
pub(crate) struct Dialer {
    url: PlatformUrl,
    authority: CertificateDer<'static>,
    connector: TlsConnector,
}

impl Dialer {
    /// A dialer that trusts this authority and nobody else.
    pub(crate) fn new(url: PlatformUrl, authority: CertificateDer<'static>) -> Result<Self, Error> {
        let refused = |error| Error::BadCertificate(url.to_string(), io::Error::other(error));
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone()).map_err(refused)?;
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let mut config = builder.map_err(refused)?.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![router::CONNECT_PROTOCOL.to_vec()];
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), url, authority })
    }

    /// A connection whose inside reaches the platform as if it came from its own loopback.
    pub(crate) async fn dial(&self) -> Result<TlsStream<TcpStream>, Error> {
        let url = || self.url.to_string();
        let socket = reach(&self.url).await?;
        let handshake = timeout(STEP, self.connector.connect(platform(), socket)).await;
        match handshake.unwrap_or_else(|slow| Err(slow.into())) {
            Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(router::CONNECT_PROTOCOL) => Ok(stream),
            Ok(_) => Err(Error::NoConnect(url())),
            Err(error) => Err(match rustls_error(&error) {
                Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => Error::NoConnect(url()),
                Some(rustls::Error::InvalidCertificate(_)) => self.explain(error).await,
                _ => Error::Handshake(url(), error),
            }),
        }
    }

    /// Whether it is another authority, or a bad certificate of ours.
    async fn explain(&self, error: io::Error) -> Error {
        let trusted = Fingerprint::of(&self.authority);
        match look(&self.url).await.map(|authority| Fingerprint::of(&authority)) {
            Ok(shown) if shown != trusted => Error::Changed { url: self.url.to_string(), trusted, shown },
            _ => Error::BadCertificate(self.url.to_string(), error),
        }
    }
}

/// The authority that a platform shows. Nothing is said to it: the handshake is broken off when it was seen.
pub(crate) async fn look(url: &PlatformUrl) -> Result<CertificateDer<'static>, Error> {
    let onlooker = Arc::new(Onlooker { provider: provider(), seen: Mutex::default() });
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::Handshake(url.to_string(), io::Error::other(error)))?;
    let verifier = Arc::clone(&onlooker);
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![router::CONNECT_PROTOCOL.to_vec()];
    let socket = reach(url).await?;
    let handshake = timeout(STEP, TlsConnector::from(Arc::new(config)).connect(platform(), socket)).await;
    if let Some(seen) = onlooker.seen.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Ok(seen);
    }
    match handshake.unwrap_or_else(|slow| Err(slow.into())) {
        Err(error) => match rustls_error(&error) {
            Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => {
                Err(Error::NoConnect(url.to_string()))
            }
            _ => Err(Error::Handshake(url.to_string(), error)),
        },
        Ok(_) => Err(Error::NoConnect(url.to_string())),
    }
}

async fn reach(url: &PlatformUrl) -> Result<TcpStream, Error> {
    let connected = timeout(STEP, TcpStream::connect(url.address())).await;
    let socket = connected.unwrap_or_else(|slow| Err(slow.into()));
    let socket = socket.and_then(|socket| keep_alive(&socket).map(|()| socket));
    socket.map_err(|error| Error::Unreachable(url.to_string(), error))
}

fn keep_alive(socket: &TcpStream) -> io::Result<()> {
    let (silence, between, questions) = KEEP_ALIVE;
    socket.set_nodelay(true)?;
    rustix::net::sockopt::set_socket_keepalive(socket, true)?;
    rustix::net::sockopt::set_tcp_keepidle(socket, silence)?;
    rustix::net::sockopt::set_tcp_keepintvl(socket, between)?;
    Ok(rustix::net::sockopt::set_tcp_keepcnt(socket, questions)?)
}

/// Every platform's own certificate names its loopback, whatever name or address it is reached by; and to one who asks
/// for no name, the router shows just that certificate.
fn platform() -> ServerName<'static> {
    ServerName::IpAddress(IpAddr::from(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Sees what is shown, and trusts nobody.
#[derive(Debug)]
struct Onlooker {
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<CertificateDer<'static>>>,
}

const SEEN: rustls::Error = rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure);

impl ServerCertVerifier for Onlooker {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // A platform sends its authority as the last of the chain.
        let last = intermediates.last().unwrap_or(end_entity).clone().into_owned();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        Err(SEEN)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(SEEN)
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(SEEN)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
