//! The settings: from flags, the environment and a file, in this order; every mistake is reported together.
//!
//! This is the one place that reads the environment. What it yields is complete and valid; the supervisor hands it to
//! the roles as a file without secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use store::Database;
use vocabulary::Secret;

/// The file read when `--config` is not given, if it exists.
const DEFAULT_FILE: &str = "/etc/slipway/slipway.toml";
/// The data folder that is used when none is named.
const DEFAULT_DATA: &str = "/var/lib/slipway";

/// The settings as they are written, unchecked. The fields are the flags, the names in the file, and, with the
/// prefix `SLIPWAY_`, the environment's variables.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Written {
    /// A TOML file with settings, named as the flags [default: /etc/slipway/slipway.toml, if it exists]
    #[arg(long, env = "SLIPWAY_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,

    /// The folder that holds everything the platform keeps [default: /var/lib/slipway]
    #[arg(long, env = "SLIPWAY_DATA", value_name = "DIR")]
    data: Option<String>,

    /// The database that holds the record, as postgres://USER:PASSWORD@HOST/NAME or sqlite:PATH; better given by the
    /// environment or the file, as others on this machine see flags [default: sqlite:DATA/store/slipway.db]
    #[arg(long, env = "SLIPWAY_DATABASE_URL", hide_env_values = true, value_name = "URL", value_parser = secret)]
    database_url: Option<Secret>,

    /// Where to accept requests; may be given several times [default: 127.0.0.1:5080]
    #[arg(long, env = "SLIPWAY_LISTEN", value_name = "ADDR:PORT", value_delimiter = ',')]
    listen: Vec<String>,

    /// Apps are reached at APP.NAME, the platform itself at NAME, api.NAME, git.NAME, … [default: localhost]
    #[arg(long, env = "SLIPWAY_DOMAIN", value_name = "NAME")]
    domain: Option<String>,

    /// A range that dynos, builds and webhooks may reach although it is private; may be given several times
    #[arg(long, env = "SLIPWAY_EGRESS_ALLOW", value_name = "CIDR[:PORT]", value_delimiter = ',')]
    egress_allow: Vec<String>,

    /// CA certificates trusted inside builds and by the platform's own client [default: the host's bundle]
    #[arg(long, env = "SLIPWAY_CA_BUNDLE", value_name = "FILE")]
    ca_bundle: Option<String>,

    /// Where npm packages and Node.js come from [default: what npm is configured to]
    #[arg(long, env = "SLIPWAY_NPM_REGISTRY", value_name = "URL")]
    npm_registry: Option<String>,

    /// Where Python packages come from: the base of an index's simple pages [default: what pip is configured to]
    #[arg(long, env = "SLIPWAY_PYPI_INDEX", value_name = "URL")]
    pypi_index: Option<String>,

    /// Where builds of Python come from: releases of python-build-standalone or a mirror of them, or "none" for the
    /// stack's own Python alone [default: what uv is configured to, or the project's own releases]
    #[arg(long, env = "SLIPWAY_PYTHON_BUILDS", value_name = "URL")]
    python_builds: Option<String>,

    /// What is dear to make and safe to delete [default: /var/cache/slipway]
    #[arg(long, env = "SLIPWAY_CACHE", value_name = "DIR")]
    cache: Option<String>,

    /// The first administrator, made at the first start [default: admin@slipway.localhost]
    #[arg(long, env = "SLIPWAY_ADMIN", value_name = "EMAIL")]
    admin: Option<String>,

    /// Seconds a web dyno has to bind its port before it is given up with R10 [default: 60]
    #[arg(long, env = "SLIPWAY_BOOT_TIMEOUT", value_name = "SECONDS")]
    boot_timeout: Option<String>,

    /// Percent of its size's memory at which a dyno is killed with R15; from 100 on it gets R14 [default: 200]
    #[arg(long, env = "SLIPWAY_KILL_AT", value_name = "PERCENT")]
    kill_at: Option<String>,

    /// How many of an app's newest releases keep their slugs, so that one can go back to them [default: 20]
    #[arg(long, env = "SLIPWAY_KEEP_RELEASES", value_name = "NUMBER")]
    keep_releases: Option<String>,

    /// Days for which every release keeps its slug [default: 30]
    #[arg(long, env = "SLIPWAY_KEEP_DAYS", value_name = "DAYS")]
    keep_days: Option<String>,

    /// What the platform writes about itself, as a filter of levels and parts [default: info]
    #[arg(long, env = "SLIPWAY_LOG", value_name = "FILTER")]
    log: Option<String>,

    /// The folder of a test that has processes of the platform die at named points (crate `crashpoints`)
    #[arg(long, env = "SLIPWAY_CRASH_POINTS", value_name = "DIR", hide = true)]
    #[serde(skip)]
    crash_points: Option<PathBuf>,
}

/// Where an install is, for commands that need to know nothing else.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// A TOML file with settings [default: /etc/slipway/slipway.toml, if it exists]
    #[arg(long, env = "SLIPWAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// The folder that holds everything the platform keeps [default: /var/lib/slipway]
    #[arg(long, env = "SLIPWAY_DATA", value_name = "DIR")]
    data: Option<String>,

    /// The database that holds the record [default: that of the running platform, or sqlite:DATA/store/slipway.db]
    #[arg(long, env = "SLIPWAY_DATABASE_URL", hide_env_values = true, value_name = "URL", value_parser = secret)]
    database_url: Option<Secret>,
}

impl Place {
    /// The data folder, and the database if one is named.
    pub(crate) fn settle(&self) -> Result<(PathBuf, Option<Database>), Mistakes> {
        let file = read_file(self.config.as_deref()).map_err(|mistake| Mistakes(vec![mistake]))?;
        let mut check = Check { mistakes: vec![] };
        let data = check.folder("data", self.data.clone().or(file.data), DEFAULT_DATA);
        let url = check.database_url(self.database_url.clone().or(file.database_url));
        if !check.mistakes.is_empty() {
            return Err(Mistakes(check.mistakes));
        }
        Ok((data, url.and_then(|url| url.reveal().parse().ok())))
    }
}

/// A URL with a password in it, as it was written.
#[expect(clippy::unnecessary_wraps, reason = "it is asked for so")]
pub(crate) fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// The settings, complete and valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The data folder; absolute.
    pub(crate) data: PathBuf,
    /// The URL of the database, if one is named; it is no part of what every role is handed.
    #[serde(skip)]
    pub(crate) database_url: Option<Secret>,
    /// Where to accept requests; not empty.
    pub(crate) listen: Vec<SocketAddr>,
    /// The domain; lower case.
    pub(crate) domain: String,
    /// Ranges dynos may reach.
    pub(crate) egress_allow: Vec<String>,
    /// CA certificates for builds and the platform's client.
    pub(crate) ca_bundle: PathBuf,
    /// Package sources by kind: `npm`, `pypi`, `python`.
    pub(crate) sources: BTreeMap<String, String>,
    /// The cache folder; absolute.
    pub(crate) cache: PathBuf,
    /// The first administrator's email.
    pub(crate) admin: String,
    /// Seconds until R10.
    pub(crate) boot_timeout: u64,
    /// Percent of memory until R15.
    pub(crate) kill_at: u32,
    /// Releases of an app that keep their slugs, however old.
    pub(crate) keep_releases: u32,
    /// Days for which a release keeps its slug.
    pub(crate) keep_days: u32,
    /// What to write about ourselves.
    pub(crate) log: String,
    /// Where a test arms crash points; never set otherwise.
    pub(crate) crash_points: Option<PathBuf>,
}

impl Settings {
    /// Heeds the crash points of a test, if it is one that started us.
    pub(crate) fn watch_crash_points(&self) {
        if let Some(folder) = &self.crash_points {
            crashpoints::watch(folder);
        }
    }
}

/// Everything that is wrong with the settings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistakes(Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings cannot be used:")?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  - {mistake}"))
    }
}

impl std::error::Error for Mistakes {}

impl Written {
    /// Adds what the file says to what flags and environment left open, and checks all of it.
    pub(crate) fn settle(self) -> Result<Settings, Mistakes> {
        let (file, unreadable) = match read_file(self.config.as_deref()) {
            Ok(file) => (file, None),
            Err(mistake) => (Self::default(), Some(mistake)),
        };
        let mut check = Check { mistakes: unreadable.into_iter().collect() };
        let settings = check.all(self.over(file));
        if check.mistakes.is_empty() { Ok(settings) } else { Err(Mistakes(check.mistakes)) }
    }

    /// These settings, and where they are silent, those of `below`.
    fn over(self, below: Self) -> Self {
        let list = |mine: Vec<String>, theirs| if mine.is_empty() { theirs } else { mine };
        Self {
            config: self.config,
            data: self.data.or(below.data),
            database_url: self.database_url.or(below.database_url),
            listen: list(self.listen, below.listen),
            domain: self.domain.or(below.domain),
            egress_allow: list(self.egress_allow, below.egress_allow),
            ca_bundle: self.ca_bundle.or(below.ca_bundle),
            npm_registry: self.npm_registry.or(below.npm_registry),
            pypi_index: self.pypi_index.or(below.pypi_index),
            python_builds: self.python_builds.or(below.python_builds),
            cache: self.cache.or(below.cache),
            admin: self.admin.or(below.admin),
            boot_timeout: self.boot_timeout.or(below.boot_timeout),
            kill_at: self.kill_at.or(below.kill_at),
            keep_releases: self.keep_releases.or(below.keep_releases),
            keep_days: self.keep_days.or(below.keep_days),
            log: self.log.or(below.log),
            crash_points: self.crash_points,
        }
    }
}

fn read_file(given: Option<&Path>) -> Result<Written, String> {
    let path = given.unwrap_or(Path::new(DEFAULT_FILE));
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).map_err(|error| format!("{}: {}", path.display(), error.message())),
        Err(error) if given.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(Written::default()),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

/// Collects mistakes; each rule yields some value, so that the next rule is still looked at.
struct Check {
    mistakes: Vec<String>,
}

impl Check {
    fn all(&mut self, written: Written) -> Settings {
        let listen = if written.listen.is_empty() { vec!["127.0.0.1:5080".to_owned()] } else { written.listen };
        Settings {
            data: self.folder("data", written.data, DEFAULT_DATA),
            database_url: self.database_url(written.database_url),
            listen: listen.iter().filter_map(|text| self.address(text)).collect(),
            domain: self.domain(written.domain),
            egress_allow: written.egress_allow.into_iter().filter(|text| self.range(text)).collect(),
            ca_bundle: self.folder("ca-bundle", written.ca_bundle, "/etc/ssl/certs/ca-certificates.crt"),
            sources: self.sources(written.npm_registry, written.pypi_index, written.python_builds),
            cache: self.folder("cache", written.cache, "/var/cache/slipway"),
            admin: self.email(written.admin),
            boot_timeout: self.seconds("boot-timeout", written.boot_timeout.as_deref(), 60),
            kill_at: self.count("kill-at", written.kill_at.as_deref(), (100, 1_000), 200),
            keep_releases: self.count("keep-releases", written.keep_releases.as_deref(), (1, 10_000), 20),
            keep_days: self.count("keep-days", written.keep_days.as_deref(), (0, 3650), 30),
            log: written.log.unwrap_or_else(|| "info".to_owned()),
            crash_points: written.crash_points,
        }
    }

    fn wrong(&mut self, mistake: String) {
        self.mistakes.push(mistake);
    }

    fn folder(&mut self, name: &str, text: Option<String>, default: &str) -> PathBuf {
        let path = PathBuf::from(text.unwrap_or_else(|| default.to_owned()));
        match std::path::absolute(&path) {
            Ok(path) => path,
            Err(error) => {
                self.wrong(format!("{name}: {} is no path: {error}", path.display()));
                path
            }
        }
    }

    fn database_url(&mut self, url: Option<Secret>) -> Option<Secret> {
        if let Some(Err(error)) = url.as_ref().map(|url| url.reveal().parse::<Database>()) {
            self.wrong(format!("database-url: {error}"));
        }
        url
    }

    fn address(&mut self, text: &str) -> Option<SocketAddr> {
        let address = text.parse().ok();
        if address.is_none() {
            self.wrong(format!("listen: {text} is no ADDR:PORT, such as 127.0.0.1:5080 or [::1]:5080"));
        }
        address
    }

    fn domain(&mut self, text: Option<String>) -> String {
        let domain = text.unwrap_or_else(|| "localhost".to_owned()).to_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if domain.len() > 200 || !domain.split('.').all(label) {
            self.wrong(format!("domain: {domain} is no domain name"));
        }
        domain
    }

    fn range(&mut self, text: &str) -> bool {
        let good = text.parse::<local::network::EgressAllow>();
        if let Err(error) = &good {
            self.wrong(format!("egress-allow: {text}: {error}"));
        }
        good.is_ok()
    }

    fn url(&mut self, name: &str, url: String) -> String {
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            self.wrong(format!("{name}: {url} is no http or https URL"));
        }
        url
    }

    fn sources(
        &mut self,
        npm_registry: Option<String>,
        pypi_index: Option<String>,
        python_builds: Option<String>,
    ) -> BTreeMap<String, String> {
        let mut set = |name: &str, given: Option<String>| given.map(|url| self.url(name, url));
        let npm = set("npm-registry", npm_registry).or_else(configured_npm_registry);
        let pypi = set("pypi-index", pypi_index).or_else(configured_python_index);
        let python = match python_builds.as_deref() {
            Some("none") => None,
            _ => set("python-builds", python_builds).or_else(|| Some(configured_python_builds())),
        };
        let sources = [("npm", npm), ("pypi", pypi), ("python", python)];
        sources.into_iter().filter_map(|(name, url)| Some((name.to_owned(), url?))).collect()
    }

    fn email(&mut self, text: Option<String>) -> String {
        let email = text.unwrap_or_else(|| "admin@slipway.localhost".to_owned());
        if !email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()) {
            self.wrong(format!("admin: {email} is no email address"));
        }
        email
    }

    fn seconds(&mut self, name: &str, text: Option<&str>, default: u64) -> u64 {
        let seconds = text.map_or(Ok(default), str::parse);
        seconds.ok().filter(|seconds| (1..=3600).contains(seconds)).unwrap_or_else(|| {
            self.wrong(format!("{name}: give whole seconds from 1 to 3600"));
            default
        })
    }

    fn count(&mut self, name: &str, text: Option<&str>, (least, most): (u32, u32), default: u32) -> u32 {
        let number = text.map_or(Ok(default), str::parse);
        number.ok().filter(|number| (least..=most).contains(number)).unwrap_or_else(|| {
            self.wrong(format!("{name}: give a whole number from {least} to {most}"));
            default
        })
    }
}

/// The registry that npm, if it is installed, is configured to.
fn configured_npm_registry() -> Option<String> {
    said(std::process::Command::new("npm").args(["config", "get", "registry"])).filter(|url| url.starts_with("http"))
}

/// The index that pip, if it is installed, is configured to, or else the one it knows of itself.
fn configured_python_index() -> Option<String> {
    const ITS_OWN: &str = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)";
    let configured = ["-m", "pip", "config", "get"];
    let asked =
        |words: &[&str]| said(std::process::Command::new("python3").args(words)).filter(|url| url.starts_with("http"));
    [":env:.index-url", "global.index-url"]
        .iter()
        .find_map(|name| asked(&[&configured[..], &[*name]].concat()))
        .or_else(|| asked(&["-c", ITS_OWN]))
}

/// Where uv, if the environment says so, fetches builds of Python from, or else where its project publishes them.
fn configured_python_builds() -> String {
    const RELEASES: &str = "https://github.com/astral-sh/python-build-standalone/releases/download";
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    let mirror = std::env::var("UV_PYTHON_INSTALL_MIRROR").ok();
    mirror.filter(|url| url.starts_with("http")).unwrap_or_else(|| RELEASES.to_owned())
}

/// What a command prints, if it ends well.
fn said(command: &mut std::process::Command) -> Option<String> {
    let output = command.stdin(std::process::Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    output.status.success().then_some(text)
}

/// What the environment adds to our own: paths of CA bundles that tools of the user already trust.
pub(crate) fn trusted_bundles() -> Vec<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    let paths = ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE"].map(std::env::var_os);
    let mut paths: Vec<PathBuf> = paths.into_iter().flatten().map(PathBuf::from).collect();
    paths.dedup();
    paths
}

/// Where a user's own files of ours are kept: `slipway` in their folder for settings (XDG Base Directory).
pub(crate) fn user_folder() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")))?;
    Some(folder.join("slipway"))
}

/// What the program before us in this process left, if there was one.
pub(crate) fn handover() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    let path = std::env::var_os("SLIPWAY_HANDOVER");
    path.map(PathBuf::from)
}

/// Where systemd, if it started us, wants to be told that we are ready.
pub(crate) fn notify_socket() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    let path = std::env::var_os("NOTIFY_SOCKET");
    path.map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every setting that may stand in the file, and no other, is told of in the one that the package installs.
    #[test]
    fn the_packages_file_tells_of_every_setting() {
        use clap::CommandFactory;
        #[derive(clap::Parser)]
        struct Flags {
            #[command(flatten)]
            written: Written,
        }
        let file = include_str!("../../../packaging/slipway.toml");
        let is_setting = |line: &&str| line.split_once(" = ").is_some_and(|(name, _)| !name.contains(' '));
        let settings: Vec<&str> = file.lines().filter_map(|line| line.strip_prefix('#')).filter(is_setting).collect();
        let written: Written = toml::from_str(&settings.join("\n")).unwrap();
        written.settle().unwrap();
        assert_eq!(toml::from_str::<Written>(file).unwrap().settle().unwrap(), Written::default().settle().unwrap());
        let mut told: Vec<String> = settings.iter().map(|line| line.split(" = ").next().unwrap().to_owned()).collect();
        let command = Flags::command();
        let flags = command.get_arguments().filter(|flag| !flag.is_hide_set() && flag.get_id() != "config");
        let mut all: Vec<String> = flags.map(|flag| flag.get_id().to_string()).collect();
        told.sort();
        all.sort();
        assert_eq!(told, all);
    }

    #[test]
    fn nothing_written_is_the_defaults() {
        let settings = Written::default().settle().unwrap();
        assert_eq!(settings.data, Path::new("/var/lib/slipway"));
        assert_eq!(settings.listen, ["127.0.0.1:5080".parse().unwrap()]);
        assert_eq!((settings.domain.as_str(), settings.boot_timeout), ("localhost", 60));
        assert_eq!((settings.keep_releases, settings.keep_days), (20, 30));
    }

    #[test]
    fn a_flag_beats_the_file() {
        let flags = Written { domain: Some("One.Example".to_owned()), ..Written::default() };
        let file: Written = toml::from_str("domain = 'two.example'\nadmin = 'ada@two.example'").unwrap();
        let both = flags.over(file);
        assert_eq!((both.domain.as_deref(), both.admin.as_deref()), (Some("One.Example"), Some("ada@two.example")));
    }

    #[test]
    fn the_databases_url_is_neither_printed_nor_handed_to_every_role() {
        let url = Some(Secret::new("postgres://ada:canary@db.example.com/x"));
        let settings = Written { database_url: url, ..Written::default() }.settle().unwrap();
        assert!(settings.database_url.is_some());
        let told = format!("{settings:?}{}", serde_json::to_string(&settings).unwrap());
        assert!(!told.contains("canary"), "{told}");
    }

    #[test]
    fn every_mistake_is_told() {
        let written = Written {
            listen: vec!["5080".to_owned()],
            domain: Some("a..b".to_owned()),
            admin: Some("ada".to_owned()),
            boot_timeout: Some("soon".to_owned()),
            keep_releases: Some("0".to_owned()),
            keep_days: Some("many".to_owned()),
            database_url: Some(Secret::new("mysql://ada:canary@db/x")),
            egress_allow: vec!["everything".to_owned()],
            ..Written::default()
        };
        let told = written.settle().unwrap_err().to_string();
        for name in ["listen", "domain", "admin", "boot-timeout", "egress-allow", "keep-releases", "keep-days"] {
            assert!(told.contains(&format!("  - {name}: ")), "{told}");
        }
        assert!(told.contains("  - database-url: ") && !told.contains("canary"), "{told}");
    }
}
