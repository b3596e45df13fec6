//! The table in the form requests are served from, shared by all workers and swapped at once.
//!
//! A request reads the current [`Routes`] without a lock. A request that waits for an app to boot is woken by the swap.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use routes_table::{AppRoute, InFlight, Invalid, Table, Target, Web};
use tokio::sync::{Notify, watch};
use vocabulary::{AppId, DynoId};

use crate::certificates::Certificates;
use crate::host;
use crate::load::Load;
use crate::outcome::Behind;

/// One table, ready to serve from.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    version: u64,
    platform: HashSet<String>,
    hosts: HashMap<String, Arc<App>>,
    apps: HashMap<AppId, Arc<App>>,
    dynos: HashSet<DynoId>,
    /// Its certificates.
    pub(crate) certificates: Certificates,
}

/// One app of a table.
#[derive(Debug)]
pub(crate) struct App {
    /// Its id, for log lines.
    pub(crate) id: AppId,
    /// Whether it is in maintenance.
    pub(crate) maintenance: bool,
    /// What stands behind it.
    pub(crate) behind: Behind,
    /// Its web dynos that are up.
    pub(crate) dynos: Vec<Arc<Dyno>>,
    /// Requests that wait for it to boot; the same over all tables.
    pub(crate) waiting: Arc<AtomicUsize>,
}

/// One web dyno that is up.
#[derive(Debug)]
pub(crate) struct Dyno {
    /// This run of it.
    pub(crate) id: DynoId,
    /// Its name: `web.1`.
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What all workers know of it; the same over all tables.
    pub(crate) load: Arc<Load>,
}

/// Who a host belongs to.
#[derive(Debug)]
pub(crate) enum Owner {
    /// The platform itself.
    Platform,
    /// An app.
    App(Arc<App>),
    /// Nobody.
    Nobody,
}

impl Routes {
    /// Who a host in its normal form belongs to.
    pub(crate) fn owner(&self, host: &str) -> Owner {
        if let Some(app) = self.hosts.get(host) {
            return Owner::App(Arc::clone(app));
        }
        if self.platform.contains(host) || host::is_address(host) {
            return Owner::Platform;
        }
        // The first name is the host itself, which was not there.
        match routes_table::names(host).skip(1).find_map(|name| self.hosts.get(&*name)) {
            Some(app) => Owner::App(Arc::clone(app)),
            None => Owner::Nobody,
        }
    }

    /// Whether a dyno is in this table.
    pub(crate) fn has_dyno(&self, dyno: DynoId) -> bool {
        self.dynos.contains(&dyno)
    }

    /// An app as it is now.
    pub(crate) fn app(&self, id: AppId) -> Option<Arc<App>> {
        self.apps.get(&id).cloned()
    }
}

/// The table in use, and what outlives a table.
#[derive(Debug)]
pub(crate) struct Current {
    routes: ArcSwap<Routes>,
    changed: watch::Sender<u64>,
    /// What is known of every dyno of this table, and of those that left with requests under way.
    loads: Mutex<HashMap<DynoId, Arc<Load>>>,
    drained: Arc<Notify>,
}

impl Current {
    /// No table yet.
    pub(crate) fn new() -> Self {
        Self {
            routes: ArcSwap::default(),
            changed: watch::Sender::new(0),
            loads: Mutex::default(),
            drained: Arc::default(),
        }
    }

    /// The table in use.
    pub(crate) fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    /// Its version; 0 before the first.
    pub(crate) fn version(&self) -> u64 {
        self.routes.load().version
    }

    /// Tells of every table that comes into use.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Checks a table and serves from it from now on. The one caller of this is the link to control.
    pub(crate) fn serve(&self, table: &Table) -> Result<(), Invalid> {
        table.check(self.version())?;
        let before = self.routes();
        let certificates = Certificates::read(&table.leaves, &before.certificates)?;
        let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        let apps: Vec<_> = table.apps.iter().map(|app| Arc::new(self.app(app, &before, &mut loads))).collect();
        let hosts = table.hosts.iter().filter_map(|(host, index)| Some((host.clone(), Arc::clone(apps.get(*index)?))));
        let dynos: HashSet<DynoId> = apps.iter().flat_map(|app| &app.dynos).map(|dyno| dyno.id).collect();
        let left = |dyno: &DynoId| !dynos.contains(dyno);
        let marks: Vec<_> = loads.iter().map(|(dyno, load)| (Arc::clone(load), left(dyno))).collect();
        self.routes.store(Arc::new(Routes {
            version: table.version,
            platform: table.platform.iter().cloned().collect(),
            hosts: hosts.collect(),
            apps: apps.iter().map(|app| (app.id, Arc::clone(app))).collect(),
            dynos,
            certificates,
        }));
        // Only after the swap, and after that the counts: `crate::load` tells why.
        for (load, left) in marks {
            load.set_left(left);
        }
        self.changed.send_replace(table.version);
        Ok(())
    }

    fn app(&self, route: &AppRoute, before: &Routes, loads: &mut HashMap<DynoId, Arc<Load>>) -> App {
        let (behind, targets) = behind(&route.web);
        let dynos = targets.iter().map(|target| {
            let load = loads.entry(target.id).or_insert_with(|| Load::new(Arc::clone(&self.drained)));
            let address = SocketAddr::V4(target.address);
            Arc::new(Dyno { id: target.id, name: target.dyno.clone(), address, load: Arc::clone(load) })
        });
        App {
            id: route.app,
            maintenance: route.maintenance,
            behind,
            dynos: dynos.collect(),
            waiting: before.apps.get(&route.app).map(|app| Arc::clone(&app.waiting)).unwrap_or_default(),
        }
    }

    /// The dynos that left the table with requests under way; one that left with none is forgotten.
    pub(crate) fn departing(&self) -> Vec<InFlight> {
        self.forget_drained();
        let loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        let left = loads.iter().filter(|(_, load)| load.has_left());
        left.map(|(dyno, load)| InFlight { dyno: *dyno, requests: load.in_flight() }).collect()
    }

    /// Waits for dynos that left the table to come to no requests, and forgets them. May be cancelled.
    pub(crate) async fn drained(&self) -> Vec<DynoId> {
        loop {
            self.drained.notified().await;
            let drained = self.forget_drained();
            if !drained.is_empty() {
                return drained;
            }
        }
    }

    fn forget_drained(&self) -> Vec<DynoId> {
        let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        loads.extract_if(|_, load| load.has_left() && load.in_flight() == 0).map(|(dyno, _)| dyno).collect()
    }
}

fn behind(web: &Web) -> (Behind, &[Target]) {
    match web {
        Web::Blank => (Behind::Blank, &[]),
        Web::None => (Behind::NoDynos, &[]),
        Web::Booting => (Behind::Booting, &[]),
        Web::Crashed => (Behind::Crashed, &[]),
        Web::Up(targets) => (Behind::Up, targets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn target() -> Target {
        Target { id: DynoId::new(), dyno: "web.1".to_owned(), address: "127.0.0.1:1".parse().unwrap() }
    }

    fn table(version: u64, app: AppId, web: Web) -> Table {
        let route = AppRoute { app, name: "sushi".parse().unwrap(), maintenance: false, web };
        Table {
            version,
            platform: vec!["localhost".to_owned()],
            hosts: BTreeMap::from([("sushi.localhost".to_owned(), 0)]),
            apps: vec![route],
            ..Table::default()
        }
    }

    #[test]
    fn a_host_has_an_owner() {
        let current = Current::new();
        current.serve(&table(1, AppId::new(), Web::Booting)).unwrap();
        let routes = current.routes();
        assert!(matches!(routes.owner("localhost"), Owner::Platform));
        assert!(matches!(routes.owner("10.0.0.1"), Owner::Platform));
        assert!(matches!(routes.owner("sushi.localhost"), Owner::App(_)));
        assert!(matches!(routes.owner("other.localhost"), Owner::Nobody));
    }

    #[test]
    fn a_wildcard_stands_for_what_has_no_nearer_name() {
        let current = Current::new();
        let mut table = table(1, AppId::new(), Web::None);
        let name = |text: &str| AppRoute { name: text.parse().unwrap(), app: AppId::new(), ..table.apps[0].clone() };
        table.apps = vec![name("far"), name("near"), name("exact")];
        let hosts = [("*.example.com", 0), ("*.b.example.com", 1), ("a.b.example.com", 2), ("*.localhost", 0)];
        table.hosts = hosts.map(|(host, app)| (host.to_owned(), app)).into();
        current.serve(&table).unwrap();
        let routes = current.routes();
        let owner = |host: &str| match routes.owner(host) {
            Owner::App(app) => table.apps.iter().position(|route| route.app == app.id),
            _ => None,
        };
        assert_eq!(owner("x.example.com"), Some(0));
        assert_eq!(owner("x.y.example.com"), Some(0));
        assert_eq!(owner("x.b.example.com"), Some(1));
        assert_eq!(owner("b.example.com"), Some(0));
        assert_eq!(owner("a.b.example.com"), Some(2));
        assert_eq!(owner("example.com"), None);
        assert_eq!(owner("badexample.com"), None);
        assert!(matches!(routes.owner("localhost"), Owner::Platform));
    }

    #[tokio::test]
    async fn a_dyno_that_left_drains() {
        let (current, app, dyno) = (Current::new(), AppId::new(), target());
        current.serve(&table(1, app, Web::Up(vec![dyno.clone()]))).unwrap();
        let load = Arc::clone(&current.routes().app(app).unwrap().dynos[0].load);
        let request = load.enter().unwrap();
        current.serve(&table(2, app, Web::Up(vec![target()]))).unwrap();
        assert_eq!(current.departing(), [InFlight { dyno: dyno.id, requests: 1 }]);
        assert!(load.enter().is_none());
        drop(request);
        assert_eq!(current.drained().await, [dyno.id]);
        assert_eq!(current.departing(), []);
    }

    #[test]
    fn an_older_table_is_refused() {
        let (current, app) = (Current::new(), AppId::new());
        current.serve(&table(2, app, Web::None)).unwrap();
        assert!(matches!(current.serve(&table(1, app, Web::None)), Err(Invalid::Older { .. })));
        assert_eq!(current.version(), 2);
    }
}
