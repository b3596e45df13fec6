//! Sending.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::{Rules, Target};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long one address may take to connect, so that there is time for the next.
const CONNECT: Duration = Duration::from_secs(5);
/// How many of a name's addresses are tried.
const ADDRESSES: usize = 3;
/// The largest head of an answer in bytes.
const HEAD: usize = 16 * 1024;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The name has no address.
    #[error("the name has no address")]
    Name(#[source] std::io::Error),
    /// None of its addresses may be reached.
    #[error("the name has no address that may be reached from here")]
    Closed,
    /// Nobody took the connection.
    #[error("nobody took the connection")]
    Connect(#[source] std::io::Error),
    /// TLS failed.
    #[error("TLS failed")]
    Tls(#[source] std::io::Error),
    /// What came was no answer.
    #[error("what came was no answer")]
    Http(#[source] hyper::Error),
    /// It took too long.
    #[error("it took longer than 15 s")]
    Timeout,
}

impl Failed {
    /// A word for it that tells nothing of the network here.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Name(_) => "NameError",
            Self::Closed => "AddressRefused",
            Self::Connect(_) => "ConnectionError",
            Self::Tls(_) => "TLSError",
            Self::Http(_) => "ProtocolError",
            Self::Timeout => "Timeout",
        }
    }
}

/// The client; clones share what it trusts.
#[derive(Clone)]
pub struct Outbound {
    rules: Rules,
    tls: TlsConnector,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Outbound {
    /// A client that trusts the certificates of a PEM file. Without one, or with one that holds none, no TLS succeeds.
    pub fn new(rules: Rules, ca_bundle: Option<&Path>) -> std::io::Result<Self> {
        let mut roots = RootCertStore::empty();
        if let Some(file) = ca_bundle {
            let pem = std::fs::read(file)?;
            // A bundle may hold some that are too old to be read.
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { rules, tls: TlsConnector::from(Arc::new(config)) })
    }

    /// What may be reached.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Posts a body and answers the status. May be repeated as far as the receiver allows.
    pub async fn post(&self, target: &Target, headers: HeaderMap, body: Bytes) -> Result<StatusCode, Failed> {
        timeout(PATIENCE, self.send(target, headers, body)).await.map_err(|_| Failed::Timeout)?
    }

    async fn send(&self, target: &Target, headers: HeaderMap, body: Bytes) -> Result<StatusCode, Failed> {
        let request = request(target, headers, body)?;
        let stream = connect(&self.addresses(target).await?).await?;
        if !target.is_tls() {
            return exchange(stream, request).await;
        }
        let invalid = |error| Failed::Tls(std::io::Error::new(std::io::ErrorKind::InvalidInput, error));
        let name = ServerName::try_from(target.name()).map_err(invalid)?;
        exchange(self.tls.connect(name, stream).await.map_err(Failed::Tls)?, request).await
    }

    /// The addresses that may be reached; the name is asked for once.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Failed> {
        let port = target.port();
        let all: Vec<SocketAddr> = match target.literal() {
            Some(address) => vec![SocketAddr::new(address, port)],
            None => tokio::net::lookup_host((target.name(), port)).await.map_err(Failed::Name)?.collect(),
        };
        let may = |to: &SocketAddr| self.rules.may_reach(*to, target.is_tls());
        let reachable: Vec<_> = all.into_iter().filter(may).take(ADDRESSES).collect();
        if reachable.is_empty() { Err(Failed::Closed) } else { Ok(reachable) }
    }
}

fn request(target: &Target, headers: HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, Failed> {
    let invalid = || Failed::Connect(std::io::ErrorKind::InvalidInput.into());
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.path().parse().map_err(|_| invalid())?;
    *request.headers_mut() = headers;
    let host = HeaderValue::try_from(target.authority()).map_err(|_| invalid())?;
    request.headers_mut().insert(HOST, host);
    Ok(request)
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Failed> {
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = std::io::ErrorKind::TimedOut.into(),
        }
    }
    Err(Failed::Connect(last))
}

/// One request, one answer's head; then the connection is cut.
async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(Failed::Http)?;
    let mut answer = pin!(sender.send_request(request));
    let first = tokio::select! {
        biased;
        answer = &mut answer => Some(answer),
        // It may have ended because it has brought the answer.
        _ended = connection => None,
    };
    let answer = match first {
        Some(answer) => answer,
        None => answer.await,
    };
    Ok(answer.map_err(Failed::Http)?.status())
}
