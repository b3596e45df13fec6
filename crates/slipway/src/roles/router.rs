//! The router role.

use std::net::{SocketAddr, TcpListener};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{Error, Inheritance, doing};
use crate::layout::Layout;

/// Serves until the process is asked to end; then drains.
pub(super) fn run(mut inheritance: Inheritance, layout: &Layout) -> Result<(), Error> {
    let names: Vec<String> =
        inheritance.names.iter().filter(|name| name.parse::<SocketAddr>().is_ok()).cloned().collect();
    let listeners = names.iter().map(|name| inheritance.fd(name).map(TcpListener::from));
    let config = router::Config {
        listeners: listeners.collect::<Result<_, _>>()?,
        platform_socket: layout.in_run("control.sock"),
        routes_socket: layout.in_run("routes.sock"),
        rendezvous_socket: layout.in_run("rendezvous.sock"),
        table_file: layout.in_run("router/table.json"),
        workers: thread::available_parallelism().map_or(1, usize::from),
        max_connections: max_connections(),
        timeouts: router::Timeouts::default(),
    };
    let phase = on_signals()?;
    // The sockets have listened all the time: what waits in them is served as soon as the workers run.
    inheritance.ready()?;
    router::run(config, phase).map_err(doing("serve requests"))
}

/// As many connections as the limit on open files carries, with one more file for each request under way.
fn max_connections() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(1024);
    usize::try_from(limit / 9 * 4).unwrap_or(usize::MAX).min(router::Config::MAX_CONNECTIONS)
}

/// SIGUSR1 asks the router to retire, SIGTERM to end.
fn on_signals() -> Result<watch::Receiver<router::Phase>, Error> {
    let (ask, asked) = watch::channel(router::Phase::Serving);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(doing("start a runtime"))?;
    let (mut retire, mut terminate) = {
        let _inside = runtime.enter();
        let listen = |kind| signal(kind).map_err(doing("listen for signals"));
        (listen(SignalKind::user_defined1())?, listen(SignalKind::terminate())?)
    };
    let waiting = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = retire.recv() => {
                    ask.send_replace(router::Phase::Retiring);
                    terminate.recv().await;
                }
            }
        });
        ask.send_replace(router::Phase::Closing);
    };
    thread::Builder::new().name("signals".to_owned()).spawn(waiting).map_err(doing("listen for signals"))?;
    Ok(asked)
}
