//! `slipway env`: what makes the official `heroku` command, git, curl and node talk to this platform.

use std::fs;
use std::io;

use crate::ca::publish;
use crate::layout::Layout;
use crate::printer;
use crate::settings::{Settings, trusted_bundles};
use crate::users::Users;

/// What the first start left about the administrator; root and control may read it.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Administrator {
    /// The account's email.
    pub(crate) email: String,
    /// Its password.
    pub(crate) password: String,
    /// Its API key.
    pub(crate) api_key: String,
}

impl Administrator {
    /// Reads what was left.
    pub(crate) fn read(layout: &Layout) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(layout.at("keys/admin.json"))?)?)
    }
}

/// The URL under which this machine reaches the platform: the first listener, on the loopback if it listens everywhere.
pub(crate) fn local_url(settings: &Settings, scheme: &str) -> String {
    let port = settings.listen.first().map_or(5080, std::net::SocketAddr::port);
    format!("{scheme}://127.0.0.1:{port}")
}

/// Prints the exports, for `eval "$(slipway env)"`.
pub(crate) fn print(settings: &Settings) -> io::Result<()> {
    let layout = Layout::open(&settings.data)?.ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, "this data folder was never up; run `slipway up` first")
    })?;
    let url = local_url(settings, "http");
    let before = trusted_before(&layout);
    // What lies there belongs to `slipway`: from here on we see and change no more than that user does.
    if rustix::process::geteuid().is_root() {
        Users::find_control()?.become_it()?;
    }
    let bundle = bundle(&layout, &before)?;
    let mut exports = vec![
        ("HEROKU_HOST", url.clone()),
        ("HEROKU_PARTICLEBOARD_URL", url.clone()),
        ("HEROKU_DATA_HOST", "127.0.0.1".to_owned()),
        ("HEROKU_STATUS_HOST", url.clone()),
        ("HEROKU_LOGIN_HOST", url.clone()),
        ("HEROKU_BUILDPACK_REGISTRY_URL", url.clone()),
        ("HEROKU_EXEC_URL", local_url(settings, "https") + "/"),
        ("DISABLE_TELEMETRY", "true".to_owned()),
        ("HEROKU_SKIP_NEW_VERSION_CHECK", "true".to_owned()),
        ("NODE_EXTRA_CA_CERTS", bundle.clone()),
        ("GIT_SSL_CAINFO", bundle.clone()),
        ("CURL_CA_BUNDLE", bundle),
    ];
    match Administrator::read(&layout) {
        Ok(administrator) => exports.push(("HEROKU_API_KEY", administrator.api_key)),
        Err(error) => printer::warn(format!("# no HEROKU_API_KEY: the administrator's key cannot be read ({error})")),
    }
    for (name, value) in exports {
        printer::say(format!("export {name}={}", quoted(&value)));
    }
    Ok(())
}

/// What this user's tools trusted before.
fn trusted_before(layout: &Layout) -> Vec<String> {
    let ours = layout.at("public/bundle.pem");
    let theirs = trusted_bundles().into_iter().filter(|path| *path != ours);
    theirs.map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
}

/// One file with our authority, the host's, and what was trusted before: each tool knows one file.
fn bundle(layout: &Layout, trusted_before: &[String]) -> io::Result<String> {
    let ours = layout.at("public/bundle.pem");
    let mut all = fs::read_to_string(&ours)?;
    let before = all.len();
    for text in trusted_before {
        for certificate in text.split_inclusive("-----END CERTIFICATE-----\n") {
            if !all.contains(certificate.trim()) {
                all.push_str(certificate);
            }
        }
    }
    let path = layout.at("public/bundle-with-yours.pem");
    if all.len() > before && publish(&path, &all).is_ok() {
        return Ok(path.display().to_string());
    }
    Ok(ours.display().to_string())
}

/// A text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What `slipway up` says when everything runs.
pub(crate) fn announce(settings: &Settings, layout: &Layout) {
    printer::say(format!("Slipway is up at {}", local_url(settings, "http")));
    if let Ok(administrator) = Administrator::read(layout) {
        printer::say(format!(
            "administrator: {} (password in {})",
            administrator.email,
            layout.at("keys/admin.json").display()
        ));
    }
    printer::say("to use the heroku command here: eval \"$(slipway env)\"");
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(super::quoted("a'b c"), r"'a'\''b c'");
    }
}
