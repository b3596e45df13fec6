//! The table for what is known: no I/O, no clock.

use std::collections::{BTreeMap, HashMap};

use routes_table::{AppRoute, Table, Target, Web};
use store::apps::App;
use store::domains::Domain;
use store::dynos::Dyno;
use store::formation::Formation;
use vocabulary::{AppId, DynoState, ProcessType, ProcessTypes};

use crate::Config;

/// What the store knew at one moment.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Every app.
    pub apps: Vec<App>,
    /// Every custom domain.
    pub domains: Vec<Domain>,
    /// Every dyno, oldest run first.
    pub dynos: Vec<Dyno>,
    /// Every formation.
    pub formation: Vec<Formation>,
    /// The commands of each app whose current release has a slug.
    pub process_types: Vec<(AppId, ProcessTypes)>,
}

/// The table, with version 0. Apps come by id and targets by age, so that the same knowledge gives the same table.
#[must_use]
pub fn plan(known: &Known, config: &Config) -> Table {
    let mut table = Table {
        platform: config.platform_hosts.iter().map(|host| host.to_lowercase()).collect(),
        domain: config.domain.to_lowercase(),
        leaves: config.leaves.clone(),
        ..Table::default()
    };
    let dynos = web_dynos(&known.dynos);
    let commands: HashMap<AppId, &ProcessTypes> =
        known.process_types.iter().map(|(app, types)| (*app, types)).collect();
    let wanted = known.formation.iter().filter(|formation| formation.process_type.is_web());
    let wanted: HashMap<AppId, u32> = wanted.map(|formation| (formation.app_id, formation.quantity)).collect();
    let mut hosts = BTreeMap::new();
    let domains = domains(&known.domains);
    for app in &known.apps {
        let host = format!("{}.{}", app.name, table.domain);
        // An app that has the name of one of the platform's own hosts cannot be reached, the platform can.
        if !table.platform.contains(&host) {
            hosts.insert(host, table.apps.len());
        }
        for domain in domains.get(&app.id).into_iter().flatten() {
            let host = domain.hostname.to_string();
            if !table.platform.contains(&host) {
                hosts.insert(host, table.apps.len());
            }
        }
        let web = web(
            commands.get(&app.id).copied(),
            wanted.get(&app.id).copied().unwrap_or(0),
            dynos.get(&app.id).map_or(&[], Vec::as_slice),
        );
        table.apps.push(AppRoute { app: app.id, name: app.name.clone(), maintenance: app.maintenance, web });
    }
    table.hosts = hosts;
    table
}

fn domains(domains: &[Domain]) -> HashMap<AppId, Vec<&Domain>> {
    let mut by_app: HashMap<AppId, Vec<&Domain>> = HashMap::new();
    for domain in domains {
        by_app.entry(domain.app_id).or_default().push(domain);
    }
    by_app
}

fn web_dynos(dynos: &[Dyno]) -> HashMap<AppId, Vec<&Dyno>> {
    let mut by_app: HashMap<AppId, Vec<&Dyno>> = HashMap::new();
    for dyno in dynos.iter().filter(|dyno| dyno.serves_requests()) {
        by_app.entry(dyno.app_id).or_default().push(dyno);
    }
    by_app
}

/// What stands behind an app, by the commands of its current slug, how many web dynos are wanted, and its web dynos,
/// oldest first.
fn web(commands: Option<&ProcessTypes>, wanted: u32, dynos: &[&Dyno]) -> Web {
    let Some(commands) = commands else { return Web::Blank };
    if wanted == 0 || commands.command(&ProcessType::web()).is_none() {
        return Web::None;
    }
    let targets: Vec<Target> = dynos.iter().filter_map(|dyno| target(dyno)).collect();
    if !targets.is_empty() {
        return Web::Up(targets);
    }
    // Of each dyno the newest run tells; one that was stopped tells nothing.
    let states: BTreeMap<u32, DynoState> = dynos
        .iter()
        .filter(|dyno| dyno.state != DynoState::Down && dyno.name.number() <= wanted)
        .map(|dyno| (dyno.name.number(), dyno.state))
        .collect();
    let crashed = states.values().filter(|state| **state == DynoState::Crashed).count();
    if crashed == wanted as usize { Web::Crashed } else { Web::Booting }
}

fn target(dyno: &Dyno) -> Option<Target> {
    let address = dyno.address.filter(|_| dyno.state == DynoState::Up)?;
    Some(Target { id: dyno.id, dyno: dyno.name.to_string(), address })
}

#[cfg(test)]
mod tests {
    use vocabulary::{AccountId, DomainId, DynoId, DynoName, DynoSize, FormationId, ReleaseId, Stack, Timestamp};

    use super::*;

    fn app(name: &str) -> App {
        let now = Timestamp::from_micros(0);
        App {
            id: AppId::new(),
            name: name.parse().unwrap(),
            owner_id: AccountId::new(),
            team_id: None,
            locked: false,
            stack: Stack::Heroku24,
            build_stack: Stack::Heroku24,
            maintenance: false,
            buildpack_provided_description: None,
            slug_size: None,
            released_at: None,
            created_at: now,
            updated_at: now,
        }
    }

    fn dyno(app: &App, name: &str, state: DynoState) -> Dyno {
        let now = Timestamp::from_micros(0);
        let name: DynoName = name.parse().unwrap();
        let listens = matches!(state, DynoState::Up | DynoState::Down);
        Dyno {
            id: DynoId::new(),
            app_id: app.id,
            name,
            release_id: ReleaseId::new(),
            size: DynoSize::Standard1X,
            command: "true".to_owned(),
            state,
            address: listens.then(|| "198.18.0.2:10000".parse().unwrap()),
            restart_asked: false,
            one_off: None,
            created_at: now,
            updated_at: now,
        }
    }

    fn formation(app: &App, process_type: ProcessType, quantity: u32) -> Formation {
        let (now, size) = (Timestamp::from_micros(0), DynoSize::Standard1X);
        let id = FormationId::new();
        Formation { id, app_id: app.id, process_type, quantity, size, created_at: now, updated_at: now }
    }

    fn config() -> Config {
        let platform_hosts = vec!["Localhost".to_owned(), "api.localhost".to_owned()];
        Config {
            domain: "Localhost".to_owned(),
            platform_hosts,
            leaves: vec![],
            signer: crate::Signer::none(),
            router_uid: 0,
        }
    }

    /// An app with this Procfile, so many web dynos wanted, and these dynos.
    fn known(procfile: Option<&str>, wanted: u32, dynos: &[(&str, DynoState)]) -> Known {
        let app = app("sushi");
        Known {
            dynos: dynos.iter().map(|(name, state)| dyno(&app, name, *state)).collect(),
            formation: vec![formation(&app, ProcessType::web(), wanted)],
            process_types: procfile
                .map(|text| (app.id, ProcessTypes::from_procfile(text.as_bytes()).unwrap()))
                .into_iter()
                .collect(),
            apps: vec![app],
            domains: vec![],
        }
    }

    #[test]
    fn what_stands_behind_an_app() {
        use DynoState::{Crashed, Down, Starting, Up};
        let web = Some("web: true");
        for (procfile, wanted, dynos, expected) in [
            (None, 1, &[][..], "Blank"),
            (None, 1, &[("web.1", Up)], "Blank"),
            (Some("worker: true"), 1, &[], "None"),
            (web, 0, &[], "None"),
            (web, 0, &[("web.1", Up)], "None"),
            (web, 1, &[], "Booting"),
            (web, 1, &[("web.1", Starting)], "Booting"),
            (web, 1, &[("web.1", Down)], "Booting"),
            (web, 1, &[("worker.1", Up)], "Booting"),
            (web, 1, &[("web.1", Crashed)], "Crashed"),
            (web, 1, &[("web.1", Crashed), ("web.1", Starting)], "Booting"),
            (web, 2, &[("web.1", Crashed)], "Booting"),
            (web, 2, &[("web.1", Crashed), ("web.2", Starting)], "Booting"),
            (web, 2, &[("web.1", Crashed), ("web.2", Crashed)], "Crashed"),
            (web, 1, &[("web.1", Crashed), ("web.2", Crashed)], "Crashed"),
            (web, 1, &[("web.1", Up)], "web.1"),
            (web, 2, &[("web.1", Up), ("web.2", Crashed)], "web.1"),
            (web, 1, &[("web.1", Down), ("web.1", Up)], "web.1"),
            (web, 1, &[("web.1", Up), ("web.1", Up)], "web.1 web.1"),
            (web, 2, &[("web.2", Up), ("web.1", Up), ("worker.1", Up)], "web.2 web.1"),
        ] {
            let table = plan(&known(procfile, wanted, dynos), &config());
            let said = match &table.apps[0].web {
                Web::Up(targets) => targets.iter().map(|target| target.dyno.as_str()).collect::<Vec<_>>().join(" "),
                other => format!("{other:?}"),
            };
            assert_eq!(said, expected, "{procfile:?} {wanted} {dynos:?}");
            assert_eq!(table.check(0), Ok(()));
        }
    }

    #[test]
    fn hosts_are_the_apps_names_but_not_the_platforms() {
        let mut maintained = app("sushi");
        maintained.maintenance = true;
        let known = Known { apps: vec![app("api"), maintained], ..Known::default() };
        let table = plan(&known, &config());
        assert_eq!(table.platform, ["localhost", "api.localhost"]);
        assert_eq!(table.domain, "localhost");
        assert!(table.app("api.localhost").is_none());
        let route = table.app("sushi.localhost").unwrap();
        assert_eq!((route.name.as_str(), route.maintenance, &route.web), ("sushi", true, &Web::Blank));
        assert_eq!(table.check(0), Ok(()));
    }

    #[test]
    fn custom_domains_lead_to_their_app() {
        let now = Timestamp::from_micros(0);
        let (sushi, maki) = (app("sushi"), app("maki"));
        let domain = |app: &App, hostname: &str| Domain {
            id: DomainId::new(),
            app_id: app.id,
            hostname: hostname.parse().unwrap(),
            target: "x".to_owned(),
            created_at: now,
            updated_at: now,
        };
        let domains = vec![domain(&sushi, "*.example.com"), domain(&maki, "www.example.com")];
        let table = plan(&Known { domains, apps: vec![sushi, maki], ..Known::default() }, &config());
        let app = |host: &str| table.app(host).map(|app| app.name.to_string());
        assert_eq!(app("www.example.com").as_deref(), Some("maki"));
        assert_eq!(app("other.example.com").as_deref(), Some("sushi"));
        assert_eq!(app("example.com"), None);
        assert_eq!(table.check(0), Ok(()));
    }

    #[test]
    fn a_web_dyno_without_an_address_gets_nothing() {
        let mut known = known(Some("web: true"), 1, &[("web.1", DynoState::Up)]);
        known.dynos[0].address = None;
        assert_eq!(plan(&known, &config()).apps[0].web, Web::Booting);
    }
}
