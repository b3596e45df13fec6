//! The router role.

use std::net::TcpListener;

use super::{Error, Inheritance, doing};
use crate::layout::Layout;

/// Serves until the process is asked to end; then drains.
pub(super) fn run(mut inheritance: Inheritance, layout: &Layout) -> Result<(), Error> {
    let names: Vec<String> = inheritance.names.iter().filter(|name| name.as_str() != "ready").cloned().collect();
    let listeners = names.iter().map(|name| inheritance.fd(name).map(TcpListener::from));
    let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
    let mut config = router::Config::new(listeners);
    config.platform_socket = layout.in_run("control.sock");
    config.routes_socket = layout.in_run("routes.sock");
    config.table_file = layout.in_run("router/table.json");
    router::run(config, move || drop(inheritance.ready())).map_err(doing("serve requests"))
}
