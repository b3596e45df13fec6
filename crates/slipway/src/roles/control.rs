//! The control role: the store, the rooms, and the doors behind `control.sock`.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use blobs::{Blobs, Outputs};
use builds::Builds;
use dynos::Dynos;
use engine::Engine;
use launch::KilledAt;
use loglines::LogSink;
use logs::Logs;
use metrics::Metrics;
use outbound::{Outbound, Rules};
use releases::Releases;
use retention::Retention;
use routes::{Routes, Signer};
use routes_table::Departures;
use store::seal::SealKey;
use store::{Database, Store};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tower::ServiceExt;
use vocabulary::{EgressAllow, HEROKU_HOSTS, Secret, Timestamp};
use webhooks::Webhooks;
use work::{Jobs, Wakers};

use super::{Error, Inheritance, doing, stop};
use crate::ca::{Authority, PLATFORM_HOSTS};
use crate::env::Administrator;
use crate::layout::Layout;
use crate::settings::Settings;
use crate::supervisor::DATABASE;
use crate::users::Users;

/// Builds and release phases at a time: each may use the whole machine, and pushes of many apps may come together.
const JOBS: usize = 4;

/// Serves until the process ends.
pub(super) fn run(mut inheritance: Inheritance, settings: &Settings, layout: &Layout) -> Result<(), Error> {
    inheritance.follow_supervisor()?;
    // The data folder is passable for git's and the packer's users: nothing of ours in it may be readable for them.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(doing("start a runtime"))?;
    runtime.block_on(serve(inheritance, settings, layout))
}

/// Everything control is made of.
struct Parts {
    store: Store,
    wakers: Wakers,
    blobs: Blobs,
    outputs: Outputs,
    engine: Engine,
    logs: Logs,
    releases: Releases,
    builds: Builds,
    dynos: Dynos,
}

async fn serve(mut inheritance: Inheritance, settings: &Settings, layout: &Layout) -> Result<(), Error> {
    let control = listener(inheritance.fd("control")?)?;
    let routes_socket = listener(inheritance.fd("routes")?)?;
    let rendezvous_socket = listener(inheritance.fd("rendezvous")?)?;
    let key = SealKey::load_or_create(&layout.at("keys/seal.key")).map_err(doing("read the seal key"))?;
    let database = database(&mut inheritance)?;
    let store = Store::open_at(&database, key).await.map_err(doing("open the store"))?;
    tracing::info!(%database, "the store is open");
    ensure_administrator(&store, settings, layout).await?;
    let authority = Authority::open(layout, settings).map_err(doing("open the certificate authority"))?;

    let (sink, queue) = LogSink::new();
    let departures = Departures::default();
    let parts = make_rooms(store, &sink, departures.clone(), settings, layout)?;
    let metrics_sink = sink.clone();
    let routes = make_routes(&parts, sink, departures, authority, settings, &mut inheritance)?;

    let apps = store::apps::all(&parts.store).await.map_err(doing("list the apps"))?;
    parts.logs.forget_others(apps.into_iter().map(|app| app.id).collect()).await;

    let jobs = Jobs::new(parts.store.clone(), parts.wakers.jobs.clone(), JOBS)
        .on("build", parts.builds.job())
        .on("release_phase", parts.releases.job());
    keep("logs", parts.logs.clone().run(queue));
    keep("routes", routes.run(routes_socket));
    keep("dynos", parts.dynos.clone().run());
    let metrics = Metrics::new(parts.store.clone(), parts.engine.clone(), metrics_sink, metrics::Config::default());
    keep("metrics", metrics.run());
    keep("retention", make_retention(&parts, settings).run());
    keep("webhooks", make_webhooks(&parts, settings)?.run());
    tokio::spawn(meet(rendezvous_socket, parts.dynos.clone(), router_uid()?));
    tokio::spawn(async move {
        if let Err(error) = jobs.run().await {
            // Without jobs nothing is deployed; the supervisor starts control again.
            tracing::error!(error = &error as &dyn std::error::Error, "the job runner ended");
            std::process::exit(1);
        }
    });
    let stop = stop::on_terminate().map_err(doing("listen for signals"))?;
    inheritance.ready()?;
    let doors = doors(&parts, settings, layout)?.layer(stop::EndTails(stop.clone()));
    let serving = axum::serve(control, doors).with_graceful_shutdown(stop::asked(stop.clone()));
    tokio::select! {
        served = async { serving.await } => served.map_err(doing("serve the API")),
        () = stop::overdue(stop) => Ok(()),
    }
}

/// The database, as the supervisor names it to us alone.
fn database(inheritance: &mut Inheritance) -> Result<Database, Error> {
    let mut url = String::new();
    let mut file = std::fs::File::from(inheritance.fd(DATABASE)?);
    file.read_to_string(&mut url).map_err(doing("read the database's URL"))?;
    url.parse().map_err(doing("understand the database's URL"))
}

fn listener(fd: std::os::fd::OwnedFd) -> Result<UnixListener, Error> {
    let socket = StdUnixListener::from(fd);
    socket.set_nonblocking(true).map_err(doing("use a socket"))?;
    UnixListener::from_std(socket).map_err(doing("use a socket"))
}

fn make_rooms(
    store: Store,
    sink: &LogSink,
    departures: Departures,
    settings: &Settings,
    layout: &Layout,
) -> Result<Parts, Error> {
    let wakers = Wakers::default();
    let blobs = Blobs::open(&layout.at("blobs")).map_err(doing("open the blobs"))?;
    let outputs = Outputs::open(&layout.at("outputs")).map_err(doing("open the outputs"))?;
    let (engine, connection) = Engine::new(layout.in_run("engine.sock"), Timestamp::now().micros());
    tokio::spawn(connection);
    let logs = Logs::new(layout.at("logs"), Some(engine.clone()));
    let releases = Releases::new(
        store.clone(),
        wakers.clone(),
        sink.clone(),
        outputs.clone(),
        blobs.clone(),
        engine.clone(),
        releases::Config { killed_at: KilledAt(settings.kill_at), ..releases::Config::default() },
    );
    let builds = Builds::new(
        store.clone(),
        wakers.clone(),
        sink.clone(),
        outputs.clone(),
        blobs.clone(),
        engine.clone(),
        releases.clone(),
        build_config(settings, layout),
    )
    .map_err(doing("prepare builds"))?;
    let dynos = Dynos::new(
        store.clone(),
        wakers.clone(),
        sink.clone(),
        engine.clone(),
        departures,
        blobs.clone(),
        dynos::Config {
            boot_timeout: Duration::from_secs(settings.boot_timeout),
            killed_at: KilledAt(settings.kill_at),
            ..dynos::Config::default()
        },
    );
    Ok(Parts { store, wakers, blobs, outputs, engine, logs, releases, builds, dynos })
}

fn build_config(settings: &Settings, layout: &Layout) -> builds::Config {
    let file_server = layout.at("bin").join("slipway-static");
    let port = settings.listen.first().map_or(80, std::net::SocketAddr::port);
    builds::Config {
        app_url: format!("http://{{app}}.{}:{port}/", settings.domain),
        sources: settings.sources.clone(),
        ca_bundle: Some(settings.ca_bundle.clone()).filter(|path| path.exists()),
        static_server: Some(file_server).filter(|path| path.exists()),
        ..builds::Config::default()
    }
}

fn make_retention(parts: &Parts, settings: &Settings) -> Retention {
    let config = retention::Config {
        releases: settings.keep_releases,
        age: Duration::from_hours(24 * u64::from(settings.keep_days)),
        ..retention::Config::default()
    };
    let (blobs, outputs) = (parts.blobs.clone(), parts.outputs.clone());
    Retention::new(parts.store.clone(), parts.wakers.retention.clone(), blobs, outputs, parts.engine.clone(), config)
}

fn make_webhooks(parts: &Parts, settings: &Settings) -> Result<Webhooks, Error> {
    let bundle = Some(settings.ca_bundle.as_path()).filter(|path| path.exists());
    let outbound = Outbound::new(outbound_rules(settings), bundle).map_err(doing("read the CA bundle"))?;
    Ok(Webhooks::new(parts.store.clone(), outbound, hosts(settings), webhooks::Config::default()))
}

/// What apps may have the platform send to: what their dynos may reach.
fn outbound_rules(settings: &Settings) -> Rules {
    let ranges = settings.egress_allow.iter().filter_map(|range| range.parse::<EgressAllow>().ok());
    Rules::new(ranges.collect())
}

fn hosts(settings: &Settings) -> api::Hosts {
    api::Hosts {
        app_scheme: "http",
        domain: settings.domain.clone(),
        app_port: settings.listen.first().map(std::net::SocketAddr::port).filter(|port| *port != 80),
        git: None,
    }
}

fn make_routes(
    parts: &Parts,
    sink: LogSink,
    departures: Departures,
    authority: Authority,
    settings: &Settings,
    inheritance: &mut Inheritance,
) -> Result<Routes, Error> {
    let mut addresses: Vec<IpAddr> = settings.listen.iter().map(std::net::SocketAddr::ip).collect();
    addresses.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    addresses.sort_unstable();
    addresses.dedup();
    let sign = doing("sign the platform's certificates");
    let leaves =
        authority.platform_leaf(&settings.domain, &addresses).and_then(|own| Ok(vec![own, authority.heroku_leaf()?]));
    let leaves = leaves.map_err(sign)?;
    let mut platform_hosts = vec![settings.domain.clone()];
    platform_hosts.extend(PLATFORM_HOSTS.map(|host| format!("{host}.{}", settings.domain)));
    platform_hosts.extend(HEROKU_HOSTS.map(str::to_owned));
    let (replace, complaints) = mpsc::channel(1);
    tokio::spawn(complain(complaints, inheritance.fd("complain")?));
    let config = routes::Config {
        domain: settings.domain.clone(),
        platform_hosts,
        leaves,
        signer: Signer::new(move |host| authority.app_leaf(host)),
        router_uid: router_uid()?,
    };
    Ok(Routes::new(parts.store.clone(), parts.wakers.clone(), departures, sink, config, replace))
}

fn router_uid() -> Result<u32, Error> {
    Ok(Users::ensure().map_err(doing("find the system users"))?.router.uid)
}

/// Runs what must run as long as control does: if it ends, the supervisor starts control again.
fn keep(name: &'static str, run: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        let ended = work::guarded(run).await;
        tracing::error!(name, ?ended, "a part of control ended; starting control again");
        std::process::exit(1);
    });
}

/// Brings clients and programs together for as long as control runs.
async fn meet(socket: UnixListener, dynos: Dynos, router_uid: u32) {
    if let Err(error) = rendezvous::serve(socket, dynos, router_uid).await {
        tracing::error!(%error, "the rendezvous ended; starting control again");
        std::process::exit(1);
    }
}

/// Tells the supervisor which router does not take routes.
async fn complain(mut pids: mpsc::Receiver<u32>, pipe: std::os::fd::OwnedFd) {
    let mut pipe = io::PipeWriter::from(pipe);
    while let Some(pid) = pids.recv().await {
        if let Err(error) = writeln!(pipe, "{pid}") {
            tracing::error!(%error, "could not tell the supervisor about a router");
        }
    }
}

/// The doors: git's paths to git, all else to the API.
fn doors(parts: &Parts, settings: &Settings, layout: &Layout) -> Result<Router, Error> {
    let (create, remove) = (parts.engine.clone(), parts.engine.clone());
    let repositories = api::Repositories::new(
        move |app| {
            let engine = create.clone();
            async move { engine.create_repository(app).await.map_err(|error| error.to_string()) }
        },
        move |app| {
            let engine = remove.clone();
            async move { engine.remove_repository(app).await.map_err(|error| error.to_string()) }
        },
    );
    let engine = parts.engine.clone();
    let stacks = api::Stacks::new(move || {
        let engine = engine.clone();
        async move {
            let installed = engine.stacks().await.map_err(|error| error.to_string())?;
            Ok(installed.into_iter().map(|stack| stack.name).collect())
        }
    });
    let api = api::router(api::Platform {
        store: parts.store.clone(),
        wakers: parts.wakers.clone(),
        releases: parts.releases.clone(),
        dynos: parts.dynos.clone(),
        builds: parts.builds.clone(),
        logs: parts.logs.clone(),
        outputs: parts.outputs.clone(),
        blobs: parts.blobs.clone(),
        repositories,
        stacks,
        hosts: hosts(settings),
        outbound: outbound_rules(settings),
    });
    let git = git::Git::new(
        parts.store.clone(),
        parts.engine.clone(),
        parts.builds.clone(),
        parts.blobs.clone(),
        parts.outputs.clone(),
        &layout.at("pushes"),
        &git::Config::default(),
    );
    let git = git::router(git.map_err(doing("open the folder of pushes"))?);
    Ok(Router::new().fallback(move |request: Request| {
        let door = if git::is_git_path(request.uri().path()) { git.clone() } else { api.clone() };
        door.oneshot(request)
    }))
}

/// Makes the first administrator, once; password and key are left for root in `keys/admin.json`.
async fn ensure_administrator(store: &Store, settings: &Settings, layout: &Layout) -> Result<(), Error> {
    if store::accounts::count(store).await.map_err(doing("count the accounts"))? > 0 {
        return Ok(());
    }
    let file = layout.at("keys/admin.json");
    let keep = |password: &Secret, key: &Secret| {
        let administrator = Administrator {
            email: settings.admin.clone(),
            password: password.reveal().to_owned(),
            api_key: key.reveal().to_owned(),
        };
        crate::durable::write(&file, &serde_json::to_vec_pretty(&administrator)?, 0o600)
    };
    api::create_administrator(store, &settings.admin, keep).await.map_err(doing("make the administrator"))
}
