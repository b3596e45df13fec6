//! `slipway env`: what makes the official `heroku` command, git, curl and node talk to this platform.

use std::fs;
use std::io;
use std::path::Path;

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
    format!("{scheme}://127.0.0.1:{}", local_port(settings))
}

fn local_port(settings: &Settings) -> u16 {
    settings.listen.first().map_or(5080, std::net::SocketAddr::port)
}

/// Prints the exports, for `eval "$(slipway env)"`.
pub(crate) fn print(settings: &Settings) -> io::Result<()> {
    let layout = Layout::open(&settings.data)?.ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, "this data folder was never up; run `slipway up` first")
    })?;
    let trusted = trusted_but(&layout.at("public"));
    // What lies there belongs to `slipway`: from here on we see and change no more than that user does.
    if rustix::process::geteuid().is_root() {
        Users::find_control()?.become_it()?;
    }
    let mut exports = exports(local_port(settings), &bundle(&layout, trusted)?);
    match Administrator::read(&layout) {
        Ok(administrator) => exports.push(("HEROKU_API_KEY", administrator.api_key)),
        Err(error) => printer::warn(format!("# no HEROKU_API_KEY: the administrator's key cannot be read ({error})")),
    }
    say_exports(exports);
    say_function(local_port(settings));
    // The last line, so that it hides nothing from a shell that gets all in one.
    match crate::ca::fingerprint(&layout) {
        Ok(fingerprint) => {
            printer::say(format!("# from another machine: slipway connect URL --fingerprint {fingerprint}"));
        }
        Err(error) => printer::warn(format!("# the authority cannot be read ({error})")),
    }
    Ok(())
}

/// What makes tools talk to a platform at a port of the loopback. `bundle` is a file with the authorities to trust.
pub(crate) fn exports(port: u16, bundle: &str) -> Vec<(&'static str, String)> {
    let (url, secure) = (format!("http://127.0.0.1:{port}"), format!("https://127.0.0.1:{port}/"));
    vec![
        ("HEROKU_HOST", url.clone()),
        ("HEROKU_PARTICLEBOARD_URL", url.clone()),
        ("HEROKU_DATA_HOST", "127.0.0.1".to_owned()),
        ("HEROKU_STATUS_HOST", url.clone()),
        ("HEROKU_LOGIN_HOST", url.clone()),
        ("HEROKU_BUILDPACK_REGISTRY_URL", url),
        ("HEROKU_EXEC_URL", secure),
        ("DISABLE_TELEMETRY", "true".to_owned()),
        ("HEROKU_SKIP_NEW_VERSION_CHECK", "true".to_owned()),
        ("NODE_EXTRA_CA_CERTS", bundle.to_owned()),
        ("GIT_SSL_CAINFO", bundle.to_owned()),
        ("CURL_CA_BUNDLE", bundle.to_owned()),
    ]
}

/// Says exports as lines of a POSIX shell.
pub(crate) fn say_exports(exports: Vec<(&'static str, String)>) {
    for (name, value) in exports {
        printer::say(format!("export {name}={}", quoted(&value)));
    }
}

/// The subcommands that reach for Heroku's fixed hosts ([`vocabulary::HEROKU_HOSTS`]), as patterns of a shell.
const BY_PROXY: &str = "apps:favorites|apps:favorites:add|apps:favorites:remove|apps:errors|dashboard|notifications";

/// Says a function in front of the official command. Some of its subcommands reach for hosts that no setting redirects:
/// those alone get the platform for their proxy. A proxy in the shell's environment would reach git, npm and curl as well,
/// for whom the platform is none. A loopback that is exempt from proxies would have the command go past ours.
pub(crate) fn say_function(port: u16) {
    printer::say(function(port));
}

/// In one line, as `eval $(…)` without quotes joins them, and without a character that a shell would then take for a
/// pattern of the files around; not over somebody's alias, which a shell would put in its place.
fn function(port: u16) -> String {
    format!(
        "alias heroku >/dev/null 2>&1 || eval 'heroku() {{ case \"$1\" in {BY_PROXY}) \
         HTTP_PROXY=http://127.0.0.1:{port} NO_PROXY= no_proxy= command heroku \"$@\"; return;; esac; \
         command heroku \"$@\"; }}'"
    )
}

/// What this user's tools trust but for what lies in a folder of ours, which they trust because we said so.
pub(crate) fn trusted_but(ours: &Path) -> Vec<String> {
    let theirs = trusted_bundles().into_iter().filter(|path| !path.starts_with(ours) && path.is_file());
    theirs.map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
}

/// One file with our authority, the host's, and what was trusted before: each tool knows one file.
fn bundle(layout: &Layout, trusted: Vec<String>) -> io::Result<String> {
    let ours = layout.at("public/bundle.pem");
    let before = fs::read_to_string(&ours)?;
    let all = merged(before.clone(), trusted);
    let path = layout.at("public/bundle-with-yours.pem");
    if all.len() > before.len() && publish(&path, &all).is_ok() {
        return Ok(path.display().to_string());
    }
    Ok(ours.display().to_string())
}

/// Certificates, and those of more texts that are not among them.
pub(crate) fn merged(mut all: String, more: Vec<String>) -> String {
    for text in more {
        for certificate in text.split_inclusive("-----END CERTIFICATE-----\n") {
            if !all.contains(certificate.trim()) {
                all.push_str(certificate);
            }
        }
    }
    all
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
    /// What a shell passes on, with a command of ours in the place of the official one.
    fn passed(shell: &str, setup: &str, words: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let command = folder.path().join("heroku");
        std::fs::write(&command, "#!/bin/sh\necho \"${HTTP_PROXY-none}:${NO_PROXY-none}\" \"$#\" \"$@\"\n").unwrap();
        std::fs::set_permissions(&command, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let script = format!("{setup}\nFUNCTION=$(cat)\neval \"$FUNCTION\"\neval $FUNCTION\n{words}\n");
        // Names that an unquoted `eval` would put in the place of patterns.
        for name in ["x)", "apps:favorites:x)", "a;touch pwned;)"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let mut shell = std::process::Command::new(shell);
        shell
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", path)
            .env("NO_PROXY", "localhost,127.0.0.1")
            .args(["-c", &script]);
        let mut child = shell.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), super::function(5080).as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    #[test]
    fn only_what_reaches_for_fixed_hosts_gets_a_proxy() {
        let ours = "http://127.0.0.1:5080:";
        let none = "none:localhost,127.0.0.1";
        for shell in ["sh", "bash"] {
            for (words, said) in [
                ("heroku apps:favorites:add --app 'a b'", format!("{ours} 3 apps:favorites:add --app a b")),
                ("heroku notifications", format!("{ours} 1 notifications")),
                ("heroku apps", format!("{none} 1 apps")),
                ("heroku run -- env", format!("{none} 3 run -- env")),
                ("heroku", format!("{none} 0")),
                ("heroku notifications >/dev/null; heroku local", format!("{none} 1 local")),
            ] {
                assert_eq!(passed(shell, "", words).trim_end(), said, "{shell}: {words}");
            }
        }
        let alias = "shopt -s expand_aliases\nalias heroku='heroku --ours'";
        assert_eq!(passed("bash", alias, "heroku apps").trim_end(), format!("{none} 2 --ours apps"));
    }

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(super::quoted("a'b c"), r"'a'\''b c'");
    }
}
