//! The room's settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use vocabulary::AppName;

const MIB: u64 = 1024 * 1024;

/// What a build may take, and where packages come from.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long a build may run. 15 minutes (Heroku Dev Center, "Limits").
    pub timeout: Duration,
    /// The most bytes of files in an app after its build. 1 GiB.
    pub slug_limit_bytes: u64,
    /// The most bytes of files in a build cache; a larger one is not kept. 1 GiB.
    pub cache_limit_bytes: u64,
    /// Memory of a build. 2.5 GiB.
    pub memory_bytes: u64,
    /// The writable layer of a build; sparse. 4 GiB.
    pub disk_bytes: u64,
    /// Processes and threads of a build. 4096.
    pub processes: u32,
    /// How long a push waits for the release's first web dyno before it says so and ends. 150 seconds: the boot
    /// timeout of 60 s (R10), twice, and room for the old dyno's stop.
    pub verify: Duration,
    /// Where apps are reached, with `{app}` for the app's name: `http://{app}.localhost:5080/`.
    pub app_url: String,
    /// Package sources by ecosystem, also told to builds: `npm` is the base address of a registry, `pypi` that of a Python
    /// package index's simple pages, `python` that of python-build-standalone's releases.
    pub sources: BTreeMap<String, String>,
    /// Certificates (PEM) trusted beside the host's own when runtimes are fetched.
    pub ca_bundle: Option<PathBuf>,
    /// The static file server's program, which the runtime `static` is made of.
    pub static_server: Option<PathBuf>,
    /// Which Node an app gets that asks for none. `24.x`.
    pub node: String,
    /// Which Python an app gets that asks for none. `3.13`, which the stack has without fetching anything.
    pub python: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(15),
            slug_limit_bytes: 1024 * MIB,
            cache_limit_bytes: 1024 * MIB,
            memory_bytes: 2560 * MIB,
            disk_bytes: 4096 * MIB,
            processes: 4096,
            verify: Duration::from_secs(150),
            app_url: "http://{app}.localhost:5080/".to_owned(),
            sources: BTreeMap::new(),
            ca_bundle: None,
            static_server: None,
            node: "24.x".to_owned(),
            python: "3.13".to_owned(),
        }
    }
}

impl Config {
    /// Where an app is reached.
    pub(crate) fn url_of(&self, app: &AppName) -> String {
        self.app_url.replace("{app}", app.as_str())
    }
}
