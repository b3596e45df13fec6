//! Certificates for the hosts of apps that no other certificate of the table is for.
//!
//! Under a real domain one wildcard serves all apps. Under `localhost` clients refuse `*.localhost` (a wildcard needs two
//! labels behind it), so that each app's host has a certificate of its own. Only hosts under the platform's domain are
//! signed for: a custom domain is whatever somebody says it is.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use routes_table::{Leaf, Table};

type Sign = dyn Fn(&str) -> Option<Leaf> + Send + Sync;

/// Signs a certificate for one lower-case host, or says why not in the platform's log.
#[derive(Clone)]
pub struct Signer(Arc<Sign>);

impl Signer {
    /// A signer.
    pub fn new(sign: impl Fn(&str) -> Option<Leaf> + Send + Sync + 'static) -> Self {
        Self(Arc::new(sign))
    }

    /// Signs nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::new(|_| None)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Signer")
    }
}

/// The certificates that were signed for hosts that are still there.
#[derive(Debug, Default)]
pub(crate) struct Leaves(BTreeMap<String, Leaf>);

impl Leaves {
    /// Adds what the table lacks; the same table gets the same certificates again.
    pub(crate) fn complete(&mut self, table: &mut Table, signer: &Signer) {
        let suffix = format!(".{}", table.domain);
        let covered: HashSet<&str> = table.leaves.iter().flat_map(|leaf| &leaf.names).map(String::as_str).collect();
        if covered.contains(format!("*{suffix}").as_str()) {
            return;
        }
        let lacks = |host: &&String| host.ends_with(&suffix) && !covered.contains(host.as_str());
        let hosts: HashSet<String> = table.hosts.keys().filter(lacks).cloned().collect();
        self.0.retain(|host, _| hosts.contains(host));
        for host in hosts {
            if !self.0.contains_key(&host)
                && let Some(leaf) = (signer.0)(&host)
            {
                self.0.insert(host, leaf);
            }
        }
        table.leaves.extend(self.0.values().cloned());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use vocabulary::Secret;

    use super::*;

    fn leaf(names: &[&str]) -> Leaf {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Leaf { names, chain: String::new(), key: Secret::new("") }
    }

    fn table(domain: &str, leaves: Vec<Leaf>, hosts: &[&str]) -> Table {
        let hosts = hosts.iter().map(|host| ((*host).to_owned(), 0)).collect();
        Table { domain: domain.to_owned(), leaves, hosts, ..Table::default() }
    }

    #[test]
    fn each_host_under_the_domain_is_signed_for_once() {
        let times = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&times);
        let signer = Signer::new(move |host| {
            count.fetch_add(1, Ordering::Relaxed);
            Some(leaf(&[host]))
        });
        let mut leaves = Leaves::default();
        let fresh = || table("localhost", vec![leaf(&["localhost", "api.localhost"])], &["a.localhost", "x.example"]);
        let (mut first, mut second) = (fresh(), fresh());
        leaves.complete(&mut first, &signer);
        assert_eq!(first.leaves.get(1).unwrap().names, ["a.localhost"], "the default stays the first");
        assert_eq!(first.leaves.len(), 2, "nobody vouches for a custom domain");
        leaves.complete(&mut second, &signer);
        assert_eq!((&first, times.load(Ordering::Relaxed)), (&second, 1));
        let mut gone = table("localhost", vec![], &[]);
        leaves.complete(&mut gone, &signer);
        assert!(gone.leaves.is_empty() && leaves.0.is_empty());
    }

    #[test]
    fn a_wildcard_is_enough() {
        let mut table = table("apps.example", vec![leaf(&["*.apps.example"])], &["a.apps.example"]);
        Leaves::default().complete(&mut table, &Signer::new(|host| Some(leaf(&[host]))));
        assert_eq!(table.leaves.len(), 1);
    }
}
