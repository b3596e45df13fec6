//! Where things are inside a Build instance, and how much of them is accepted. Tests put the same folders below a
//! temporary one.

use std::path::PathBuf;

use inside_contract::{APP, CACHE};

/// The folders and limits of one build.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Where the finished app will live; not where it is built. Holds `.heroku/NAME`, the mounted runtimes.
    pub(crate) app: PathBuf,
    /// The build cache, kept between builds.
    pub(crate) cache: PathBuf,
    /// Where `build_ID`, `env_ID` and fetched buildpacks are made.
    pub(crate) work: PathBuf,
    /// What git may speak while it fetches a buildpack, as `GIT_ALLOW_PROTOCOL` wants it.
    pub(crate) git_protocols: String,
    /// What curl may speak while it fetches a buildpack, as its `--proto` wants it.
    pub(crate) curl_protocols: String,
    /// Bounds of the app's source.
    pub(crate) source: Limits,
    /// Bounds of a fetched buildpack.
    pub(crate) buildpack: Limits,
    /// The largest cache that is kept, in bytes.
    pub(crate) cache_bytes: u64,
}

/// How much an archive may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Sum of the files' sizes.
    pub(crate) bytes: u64,
    /// Files, folders and links together.
    pub(crate) entries: u64,
}

impl Layout {
    /// The real places inside an instance.
    pub(crate) fn inside() -> Self {
        Self {
            app: APP.into(),
            cache: CACHE.into(),
            work: "/tmp".into(),
            git_protocols: "https:http:git".to_owned(),
            curl_protocols: "=https,http".to_owned(),
            // A checkout above 1 GB is refused by Heroku as well (Dev Center, "Slug Compiler").
            source: Limits { bytes: 1 << 30, entries: 500_000 },
            // The largest public buildpacks are below 100 MB.
            buildpack: Limits { bytes: 512 << 20, entries: 100_000 },
            // Heroku's limit for a build cache.
            cache_bytes: 500 << 20,
        }
    }

    /// Where the runtimes are mounted.
    pub(crate) fn runtimes(&self) -> PathBuf {
        self.app.join(".heroku")
    }
}
