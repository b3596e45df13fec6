//! What a router knows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use serde::{Deserialize, Serialize};
use vocabulary::{AppId, AppName, DynoId, Secret};

/// Everything a router needs to serve, in one value.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Table {
    /// Grows with every change, over restarts of control as well; a router refuses a lower one.
    pub version: u64,
    /// Hosts of the platform itself, lower case, without port: `localhost`, `api.localhost`. IP literals are platform
    /// hosts and need not be listed. Served by control over its socket.
    pub platform: Vec<String>,
    /// The domain under which apps are `APP.DOMAIN`; an unknown name under it is told apart from an unknown host.
    pub domain: String,
    /// Lower-case host, without port, to the index of its app in `apps`; `*.` and a suffix stands for every name below
    /// the suffix that has no entry nearer to it.
    pub hosts: BTreeMap<String, usize>,
    /// The apps.
    pub apps: Vec<AppRoute>,
    /// Certificates; the first is the default for a client that names no known host.
    pub leaves: Vec<Leaf>,
}

/// How requests for one app are answered.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct AppRoute {
    /// The app, for its log lines.
    pub app: AppId,
    /// Its name.
    pub name: AppName,
    /// `heroku maintenance:on`: H80 for every request.
    pub maintenance: bool,
    /// What stands behind it.
    pub web: Web,
}

/// What stands behind an app.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Web {
    /// Nothing was ever released: H81.
    Blank,
    /// No web dynos are wanted: H14.
    None,
    /// Web dynos are wanted and starting, none is up: requests wait up to 75 s, then H20.
    Booting,
    /// Web dynos are wanted, and the last ones crashed: H10.
    Crashed,
    /// At least one is up.
    Up(Vec<Target>),
}

/// One web dyno that is up.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Target {
    /// This run of the dyno.
    pub id: DynoId,
    /// Its name for the log line: `web.1`.
    pub dyno: String,
    /// Where it listens.
    pub address: SocketAddrV4,
}

/// A certificate with its key, for a set of names.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Leaf {
    /// Exact lower-case names, or `*.` and a suffix.
    pub names: Vec<String>,
    /// PEM, leaf first.
    pub chain: String,
    /// PEM, PKCS#8.
    pub key: Secret,
}

/// Why a table is refused. The router keeps its last good one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Older than what is served.
    #[error("route table {offered} is older than {served}, which is served")]
    Older {
        /// The version offered.
        offered: u64,
        /// The version served.
        served: u64,
    },
    /// A host points past the list of apps.
    #[error("host {0} of the route table has no app")]
    Dangling(String),
    /// A host is not lower case, or is a platform host as well.
    #[error("host {0} of the route table is not a lower-case host of an app")]
    Host(String),
    /// An app is up without a dyno.
    #[error("app {0} of the route table is up without a dyno")]
    Empty(AppName),
    /// A certificate or key cannot be read.
    #[error("the certificate for {0} cannot be used: {1}")]
    Leaf(String, String),
}

impl Table {
    /// The app behind a lower-case host without port.
    #[must_use]
    pub fn app(&self, host: &str) -> Option<&AppRoute> {
        names(host).find_map(|name| self.hosts.get(&*name)).and_then(|index| self.apps.get(*index))
    }

    /// Checks everything that can be checked without a cryptographic library; `served` is the version in use.
    pub fn check(&self, served: u64) -> Result<(), Invalid> {
        if self.version < served {
            return Err(Invalid::Older { offered: self.version, served });
        }
        for (host, index) in &self.hosts {
            if *index >= self.apps.len() {
                return Err(Invalid::Dangling(host.clone()));
            }
            if host.chars().any(char::is_uppercase) || self.platform.contains(host) {
                return Err(Invalid::Host(host.clone()));
            }
        }
        match self.apps.iter().find(|app| matches!(&app.web, Web::Up(targets) if targets.is_empty())) {
            Some(app) => Err(Invalid::Empty(app.name.clone())),
            None => Ok(()),
        }
    }
}

/// The entries that may stand for a host, nearest first: `a.b.c`, `*.b.c`, `*.c`.
pub fn names(host: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = host;
    let above = std::iter::from_fn(move || {
        rest = rest.split_once('.')?.1;
        Some(Cow::Owned(format!("*.{rest}")))
    });
    std::iter::once(Cow::Borrowed(host)).chain(above)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(version: u64, web: Web) -> Table {
        let name: AppName = "sushi".parse().unwrap();
        Table {
            version,
            hosts: BTreeMap::from([("sushi.localhost".to_owned(), 0)]),
            apps: vec![AppRoute { app: AppId::new(), name, maintenance: false, web }],
            ..Table::default()
        }
    }

    #[test]
    fn a_sound_table_is_taken() {
        assert_eq!(table(3, Web::Blank).check(3), Ok(()));
    }

    #[test]
    fn an_unsound_table_is_refused() {
        assert!(matches!(table(2, Web::Blank).check(3), Err(Invalid::Older { .. })));
        assert!(matches!(table(3, Web::Up(vec![])).check(3), Err(Invalid::Empty(_))));
        let mut dangling = table(3, Web::None);
        dangling.hosts.insert("other.localhost".to_owned(), 7);
        assert!(matches!(dangling.check(0), Err(Invalid::Dangling(_))));
        let mut upper = table(3, Web::None);
        upper.hosts.insert("Other.localhost".to_owned(), 0);
        assert!(matches!(upper.check(0), Err(Invalid::Host(_))));
    }
}
