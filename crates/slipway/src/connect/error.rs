//! What goes wrong between a laptop and a platform.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::fingerprint::Fingerprint;

/// Why no connection can be carried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody answers there.
    #[error("cannot reach {0}")]
    Unreachable(String, #[source] io::Error),
    /// Somebody answers, but no handshake comes about.
    #[error("no TLS with {0}")]
    Handshake(String, #[source] io::Error),
    /// Whoever answers does not know our protocol.
    #[error(
        "what answers at {0} is no Slipway that can be connected to: it does not speak {protocol}; is something in \
         between that ends TLS?",
        protocol = String::from_utf8_lossy(router::CONNECT_PROTOCOL)
    )]
    NoConnect(String),
    /// It is another platform than the one that is trusted.
    #[error(
        "REFUSED: {url} shows an authority with the fingerprint {shown}, but the one you trust has {trusted}. Either \
         somebody stands in between, or the platform was made anew: ask its operator for what `slipway doctor` prints \
         there, and give that with --fingerprint"
    )]
    Changed {
        /// The platform.
        url: String,
        /// What is trusted.
        trusted: Fingerprint,
        /// What was shown.
        shown: Fingerprint,
    },
    /// The certificate of the platform is not good, though its authority may be.
    #[error("REFUSED: the certificate that {0} shows is not good for a platform of the trusted authority")]
    BadCertificate(String, #[source] io::Error),
    /// There is nobody to ask whether to trust it.
    #[error(
        "{url} is not known yet, and shows an authority with the fingerprint {shown}. If that is what `slipway doctor` \
         prints on its machine, give --fingerprint {shown}"
    )]
    Unknown {
        /// The platform.
        url: String,
        /// What was shown.
        shown: Fingerprint,
    },
    /// The person said no.
    #[error("not trusted; nothing was kept")]
    Declined,
    /// A file of ours cannot be used.
    #[error("cannot use {0}")]
    File(PathBuf, #[source] io::Error),
    /// There is no place for such files.
    #[error("no folder for settings: neither XDG_CONFIG_HOME nor HOME is set")]
    NoFolder,
    /// What is kept of a platform is not what we wrote.
    #[error("{0} holds no certificate; delete it to begin anew")]
    Broken(PathBuf),
    /// The port on this side is taken.
    #[error(
        "cannot listen on {0}; is another `slipway connect` or a platform running here? --listen names another port"
    )]
    Listen(SocketAddr, #[source] io::Error),
    /// Nothing to print exports for.
    #[error("no platform was connected to from here; run `slipway connect https://HOST` first")]
    NonePlatform,
    /// More than one to print exports for.
    #[error("several platforms were connected to from here; name one: slipway connect env {0}")]
    Several(String),
    /// The operating system refuses something basic.
    #[error("cannot {0}")]
    System(&'static str, #[source] io::Error),
}
