//! The certificates of a table, and which of them a client gets.

use std::collections::HashMap;
use std::sync::Arc;

use routes_table::{Invalid, Leaf};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// The certificates by name.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    /// Of exact names.
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// Of `*.` and the key here, for one label more.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    /// All of them, by their chain in PEM.
    by_chain: HashMap<String, Arc<CertifiedKey>>,
    /// For a client that names no known host.
    default: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Reads the certificates of a table; the first is the default. Those that were there `before` are not read again:
    /// a table comes with every deploy, and may hold one for each app.
    pub(crate) fn read(leaves: &[Leaf], before: &Self) -> Result<Self, Invalid> {
        let mut certificates = Self::default();
        for leaf in leaves {
            let key = match before.by_chain.get(&leaf.chain) {
                Some(known) => Arc::clone(known),
                None => Arc::new(read(leaf).map_err(|cause| Invalid::Leaf(leaf.names.join(", "), cause))?),
            };
            certificates.by_chain.insert(leaf.chain.clone(), Arc::clone(&key));
            for name in &leaf.names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(suffix) => (&mut certificates.wildcard, suffix),
                    None => (&mut certificates.exact, name.as_str()),
                };
                map.insert(name.to_ascii_lowercase(), Arc::clone(&key));
            }
            certificates.default.get_or_insert(key);
        }
        Ok(certificates)
    }

    /// The certificate for the name a client gives.
    pub(crate) fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let named = name.map(str::to_ascii_lowercase).and_then(|name| {
            let suffix = name.split_once('.').map(|(_, suffix)| suffix);
            self.exact.get(&name).or_else(|| self.wildcard.get(suffix?))
        });
        named.or(self.default.as_ref()).cloned()
    }
}

fn read(leaf: &Leaf) -> Result<CertifiedKey, String> {
    let chain = CertificateDer::pem_slice_iter(leaf.chain.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("the chain is not PEM: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(leaf.key.reveal().as_bytes())
        .map_err(|error| format!("the key is not PEM: {error}"))?;
    let key = any_supported_type(&key).map_err(|error| format!("the key is of no known kind: {error}"))?;
    let certified = CertifiedKey::new(chain, key);
    certified.end_entity_cert().map_err(|error| format!("the chain is empty: {error}"))?;
    certified.keys_match().map_err(|error| format!("key and certificate do not match: {error}"))?;
    Ok(certified)
}
