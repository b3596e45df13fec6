//! TLS towards clients: one configuration for ever, whose certificates come from the table in use.
//!
//! The configuration does not change with the table, so that sessions can be resumed over a change.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::Error;
use crate::connect;
use crate::routes::Current;

/// Chooses a certificate by the name a client gives.
#[derive(Debug)]
struct Resolver(Arc<Current>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.routes().certificates.find(hello.server_name())
    }
}

/// The configuration that serves from the table in use.
pub(crate) fn config(current: Arc<Current>) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config =
        versions.map_err(Error::Tls)?.with_no_client_auth().with_cert_resolver(Arc::new(Resolver(current)));
    config.alpn_protocols = vec![b"http/1.1".to_vec(), connect::PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}
