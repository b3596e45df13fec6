//! The platform's own certificate authority, for hosts no public authority signs: `localhost`, IP addresses.
//!
//! The key stays with control (`DATA/keys/ca.key`); the router is given leaves. The certificate is public
//! (`DATA/public/ca.pem`); `bundle.pem` beside it holds the host's authorities as well, for tools that know one file.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use routes_table::Leaf;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use vocabulary::{HEROKU_HOSTS, Secret};

use crate::durable;
use crate::fingerprint::Fingerprint;
use crate::layout::Layout;
use crate::settings::Settings;

/// Platform hosts under the domain, beside the domain itself (DESIGN of the front door; Heroku's own sub-domains).
pub(crate) const PLATFORM_HOSTS: [&str; 8] =
    ["api", "git", "dashboard", "data", "login", "status", "registry", "particleboard"];

/// Why the authority cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file could not be read or written.
    #[error("could not read or write the certificate authority's files")]
    Io(#[from] io::Error),
    /// A certificate or key could not be made or read.
    #[error("could not make or read a certificate")]
    Certificate(#[from] rcgen::Error),
}

/// The authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// Reads the authority from the data folder, making it if there is none, and renews the bundle for users.
    pub(crate) fn open(layout: &Layout, settings: &Settings) -> Result<Self, Error> {
        let (key_file, certificate_file) = (layout.at("keys/ca.key"), layout.at("public/ca.pem"));
        let authority = match fs::read_to_string(&key_file) {
            Ok(key) => Self::read(&key, fs::read_to_string(&certificate_file)?)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(&key_file, &certificate_file)?,
            Err(error) => return Err(error.into()),
        };
        authority.write_bundle(&layout.at("public/bundle.pem"), &settings.ca_bundle)?;
        Ok(authority)
    }

    fn read(key: &str, certificate: String) -> Result<Self, Error> {
        let issuer = Issuer::from_ca_cert_pem(&certificate, KeyPair::from_pem(key)?)?;
        Ok(Self { issuer, certificate })
    }

    fn make(key_file: &Path, certificate_file: &Path) -> Result<Self, Error> {
        let key = KeyPair::generate()?;
        let key_text = key.serialize_pem();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Slipway local authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = CertifiedIssuer::self_signed(params, key)?.pem();
        // The certificate first: a key without one would be read as broken.
        publish(certificate_file, &certificate)?;
        durable::write(key_file, key_text.as_bytes(), 0o600)?;
        Self::read(&key_text, certificate)
    }

    fn write_bundle(&self, bundle: &Path, host: &Path) -> io::Result<()> {
        // A host without a bundle trusts nobody else; then ours stands alone.
        let host = fs::read_to_string(host).unwrap_or_default();
        publish(bundle, &format!("{}\n{}", self.certificate.trim_end(), host))
    }

    /// A leaf for the platform's hosts and addresses; the router shows it to whoever names no other host.
    pub(crate) fn platform_leaf(&self, domain: &str, addresses: &[IpAddr]) -> Result<Leaf, Error> {
        let mut names = vec![domain.to_owned()];
        names.extend(PLATFORM_HOSTS.map(|host| format!("{host}.{domain}")));
        if domain != "localhost" {
            names.extend([format!("*.{domain}"), "localhost".to_owned()]);
        }
        self.leaf(names, addresses)
    }

    /// A leaf for the hosts of Heroku's that the platform stands in for.
    pub(crate) fn heroku_leaf(&self) -> Result<Leaf, Error> {
        self.leaf(HEROKU_HOSTS.map(str::to_owned).into(), &[])
    }

    /// A leaf for an app's host; nothing if it cannot be signed, which the log says.
    pub(crate) fn app_leaf(&self, host: &str) -> Option<Leaf> {
        let leaf = self.leaf(vec![host.to_owned()], &[]);
        leaf.inspect_err(|error| tracing::error!(%error, host, "could not sign for the host of an app")).ok()
    }

    fn leaf(&self, names: Vec<String>, addresses: &[IpAddr]) -> Result<Leaf, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.clone())?;
        params.subject_alt_names.extend(addresses.iter().map(|address| SanType::IpAddress(*address)));
        params.distinguished_name.push(DnType::CommonName, names.first().cloned().unwrap_or_default());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        let chain = format!("{certificate}{}", self.certificate);
        Ok(Leaf { names, chain, key: Secret::new(key.serialize_pem()) })
    }
}

/// The fingerprint of the authority, by which people elsewhere know this platform.
pub(crate) fn fingerprint(layout: &Layout) -> io::Result<Fingerprint> {
    let text = fs::read(layout.at("public/ca.pem"))?;
    let certificate = CertificateDer::from_pem_slice(&text).map_err(io::Error::other)?;
    Ok(Fingerprint::of(&certificate))
}

/// Writes a file that everybody may read, whatever the umask says.
pub(crate) fn publish(path: &Path, text: &str) -> io::Result<()> {
    durable::write(path, text.as_bytes(), 0o644)
}
