//! `slipway connect env`: the exports for a platform that an agent is connected to.

use std::fs;

use super::error::Error;
use super::known::Known;
use super::url::PlatformUrl;
use crate::env::{exports, merged, say_exports, say_function, trusted_but};

/// Where systems keep the authorities they trust: Debian and its kin, Red Hat and its kin, Alpine and others.
const HOSTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Prints the exports of one platform, or of the only one. There is no `HEROKU_API_KEY` among them: `heroku login` gets
/// one, or the operator gives one (`slipway users token`).
pub(crate) fn print(url: Option<&PlatformUrl>) -> Result<(), Error> {
    let known = url.map_or_else(Known::only, Known::of)?;
    let (authority, bundle) = (known.read("ca.pem")?, known.file("bundle.pem"));
    let host = HOSTS.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    known.write("bundle.pem", &merged(format!("{authority}{host}"), trusted_but(&bundle)))?;
    let port = known.listening()?.port();
    say_exports(exports(port, &bundle.display().to_string()));
    say_function(port);
    Ok(())
}
