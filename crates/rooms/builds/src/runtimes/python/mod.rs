//! The catalogue of Python: which build of it meets a requirement, and where that is fetched.
//!
//! Embedded is a list of builds with their digests (`builds.tsv`), so that where they are fetched from need not be
//! trusted: any mirror that keeps the project's paths will do.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use blobs::Draft;
use inside_contract::{PythonRequirement, PythonVersion};
use tokio::time::Instant;

use super::{Error, fetch};

/// Version, release of the project, machine, form, SHA-256, separated by tabs.
const LIST: &str = include_str!("builds.tsv");
/// How long a source that could not be reached is not asked again, nor one that answers for what it does not have.
const AWAY: Duration = Duration::from_mins(10);
/// How many versions a refusal names.
const NEAREST: usize = 5;

static BUILDS: LazyLock<Vec<PythonBuild>> = LazyLock::new(|| parse(LIST, std::env::consts::ARCH));

/// One build for this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PythonBuild {
    pub(crate) version: PythonVersion,
    release: &'static str,
    machine: &'static str,
    /// `stripped`, which has no debug symbols; `whole` where the project made no other yet.
    form: &'static str,
    sha256: &'static str,
}

/// Since when something is not to be had, and why.
type Since = (Instant, String);

/// What is known of a source.
#[derive(Debug, Default)]
struct Lately {
    /// It did not answer, whatever it was asked for.
    away: Option<Since>,
    /// It answered that it does not have these versions; others are asked for all the same. At most one entry for each in the
    /// list.
    missing: HashMap<PythonVersion, Since>,
}

/// Where builds come from, and what was to be had there lately; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct PythonBuilds {
    client: reqwest::Client,
    base: Option<String>,
    lately: Arc<Mutex<Lately>>,
}

impl PythonBuilds {
    pub(crate) fn new(client: reqwest::Client, base: Option<String>) -> Self {
        Self { client, base, lately: Arc::default() }
    }

    /// Fetches a build into a draft, verified.
    pub(crate) async fn download(&self, build: &PythonBuild, draft: Draft) -> Result<Draft, Error> {
        let base = self.base.as_deref().ok_or(Error::NoSource("Python"))?;
        let url = build.url(base);
        self.check(build.version, &url)?;
        let expected = fetch::Expected::sha256(build.sha256).ok_or_else(|| Error::Integrity { url: url.clone() })?;
        let fetched = fetch::download(&self.client, &url, &expected, draft).await;
        let mut lately = self.lock();
        match &fetched {
            Err(Error::Fetch { reason, .. }) => lately.away = Some((Instant::now(), reason.clone())),
            Err(Error::NotThere { reason, .. }) => {
                lately.missing.insert(build.version, (Instant::now(), reason.clone()));
            }
            _ => {}
        }
        drop(lately);
        fetched
    }

    /// Refuses what is known not to be had.
    fn check(&self, version: PythonVersion, url: &str) -> Result<(), Error> {
        let lately = self.lock();
        let known = |since: Option<&Since>| {
            since.filter(|(at, _)| at.elapsed() < AWAY).map(|(_, reason)| (url.to_owned(), reason.clone()))
        };
        if let Some((url, reason)) = known(lately.away.as_ref()) {
            return Err(Error::Fetch { url, reason });
        }
        known(lately.missing.get(&version)).map_or(Ok(()), |(url, reason)| Err(Error::NotThere { url, reason }))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lately> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PythonBuild {
    /// `BASE/20251010/cpython-3.13.9%2B20251010-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz`
    fn url(&self, base: &str) -> String {
        let Self { version, release, machine, .. } = self;
        let form = if self.form == "stripped" { "install_only_stripped" } else { "install_only" };
        let base = base.trim_end_matches('/');
        format!("{base}/{release}/cpython-{version}%2B{release}-{machine}-unknown-linux-gnu-{form}.tar.gz")
    }
}

/// The builds that meet a requirement, the newest first.
pub(crate) fn candidates(requirement: PythonRequirement) -> Vec<&'static PythonBuild> {
    let mut builds: Vec<_> = BUILDS.iter().filter(|build| requirement.meets(build.version)).collect();
    builds.sort_unstable_by_key(|build| std::cmp::Reverse(build.version));
    builds
}

/// The versions next to what was asked: the newest patch releases of the same minor version, or the newest of each.
pub(crate) fn nearest(requirement: PythonRequirement) -> String {
    let mut versions: Vec<PythonVersion> = BUILDS.iter().map(|build| build.version).collect();
    versions.sort_unstable_by(|one, two| two.cmp(one));
    let same = |version: &PythonVersion| match requirement {
        PythonRequirement::Minor(major, minor) => (version.major, version.minor) == (major, minor),
        PythonRequirement::Exact(exact) => (version.major, version.minor) == (exact.major, exact.minor),
        PythonRequirement::Default | PythonRequirement::Major(_) => false,
    };
    if versions.iter().any(same) {
        versions.retain(same);
    } else {
        versions.dedup_by_key(|version| (version.major, version.minor));
    }
    versions.iter().take(NEAREST).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn parse(list: &'static str, machine: &str) -> Vec<PythonBuild> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let build = |line: &'static str| match *line.split('\t').collect::<Vec<_>>() {
        [version, release, machine, form, sha256] => {
            Some(PythonBuild { version: version.parse().ok()?, release, machine, form, sha256 })
        }
        _ => None,
    };
    lines.filter_map(build).filter(|build| build.machine == machine).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_a_build() {
        let lines = LIST.lines().filter(|line| !line.starts_with('#')).count();
        let both: Vec<PythonBuild> = ["x86_64", "aarch64"].iter().flat_map(|machine| parse(LIST, machine)).collect();
        assert_eq!(both.len(), lines);
        for build in both {
            assert!(fetch::Expected::sha256(build.sha256).is_some(), "{build:?}");
            assert!(["stripped", "whole"].contains(&build.form), "{build:?}");
            assert!(build.release.len() == 8 && build.release.bytes().all(|byte| byte.is_ascii_digit()), "{build:?}");
        }
    }

    #[test]
    fn the_newest_that_meets_the_requirement() {
        let newest = |text: &str| candidates(text.parse().unwrap()).first().map(|build| build.version.to_string());
        assert_eq!(newest("3.13.5").as_deref(), Some("3.13.5"));
        assert_eq!(newest("3.12").as_deref(), Some("3.12.16"));
        assert!(newest("3").unwrap().starts_with("3.15."));
        assert_eq!(newest("3.9"), None);
        assert_eq!(newest("3.12.99"), None);
        let builds = candidates("3.12".parse().unwrap());
        assert_eq!(builds.get(1).map(|build| build.version.to_string()).as_deref(), Some("3.12.15"));
    }

    #[test]
    fn what_is_not_there_names_what_is_near() {
        let nearest = |text: &str| nearest(text.parse().unwrap());
        assert_eq!(nearest("3.12.99"), "3.12.16, 3.12.15, 3.12.14, 3.12.13, 3.12.12");
        assert_eq!(nearest("2.7"), "3.15.2, 3.14.10, 3.13.18, 3.12.16, 3.11.18");
    }

    #[test]
    fn a_build_is_found_where_the_project_puts_it() {
        let build = parse("3.13.9\t20251010\tx86_64\tstripped\tab\n", "x86_64").remove(0);
        let url =
            "https://host/x/20251010/cpython-3.13.9%2B20251010-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz";
        assert_eq!(build.url("https://host/x/"), url);
    }
}
