//! What the outside tells a program inside an instance, and what it answers: the launch, the build's request and
//! the build's report. Plain data shared by both sides; knows neither.
//!
//! Descriptors inside an instance have fixed numbers:
//!
//! | fd | who reads or writes it | content |
//! |---|---|---|
//! | 0 | the program | nothing, or a build's source: a tar (plain, gzip or zstd) |
//! | 1, 2 | the program | its output |
//! | [`LAUNCH_FD`] | `init`, which closes it | a [`Launch`] |
//! | [`REPORT_FD`] | the build runner writes | one [`BuildReport`] |
//! | [`REQUEST_FD`] | the build runner reads | a [`BuildRequest`] |
//! | [`SLUG_FD`] | the build runner writes | the finished app as a tar; paths relative to `/app` |
//! | [`CACHE_FD`] | the build runner writes | the build cache as a tar, only if it changed; relative to `/cache` |
//!
//! Everything written inside is untrusted: the outside bounds it, parses it once, and re-packs tars.

mod python;

use std::collections::BTreeMap;

pub use python::{NoPythonVersion, PythonRequirement, PythonVersion, undate};
use serde::{Deserialize, Serialize};

/// Where `init` reads its [`Launch`].
pub const LAUNCH_FD: i32 = 3;
/// Where the build runner writes its [`BuildReport`].
pub const REPORT_FD: i32 = 4;
/// Where the build runner reads its [`BuildRequest`].
pub const REQUEST_FD: i32 = 5;
/// Where the build runner writes the finished app.
pub const SLUG_FD: i32 = 6;
/// Where the build runner writes the build cache.
pub const CACHE_FD: i32 = 7;

/// The folder, inside every instance, that holds our programs: `init`, `buildpacks`, `static`.
pub const PROGRAMS: &str = "/.slipway";
/// The argument with which `init` is one more process of a running instance.
pub const EXEC: &str = "exec";
/// Where the app lives inside an instance; `HOME` and the working directory of a dyno.
pub const APP: &str = "/app";
/// Where the build cache of an app lives inside a build.
pub const CACHE: &str = "/cache";
/// The verb with which the build runner writes a runtime of the stack's own programs, such as
/// `buildpacks stack-runtime python`: the tar to [`SLUG_FD`], the [`Runtime`] as JSON to [`REPORT_FD`].
pub const STACK_RUNTIME: &str = "stack-runtime";
/// The user and group the app's processes have inside their user namespace.
pub const APP_UID: u32 = 1000;

/// What `init` starts, and with which environment. Travels in sealed memory, never in a file: it holds config vars.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Launch {
    /// What to start.
    pub program: Program,
    /// The whole environment of the program; nothing is inherited.
    pub env: BTreeMap<String, String>,
}

/// A program to start inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// A command of a Procfile: `/app/.profile.d/*.sh` and `/app/.profile` are sourced, then `bash` runs the text in
    /// `/app`. The text is an argument of a fixed script, never part of one.
    Shell {
        /// The command as the Procfile has it.
        command: String,
    },
    /// As [`Program::Shell`], in a shell within that shell; then prints the exit status in the line by which
    /// `heroku run --exit-code` reads it, and ends with it.
    ShellWithStatus {
        /// The command.
        command: String,
    },
    /// A program by its path and arguments, without a shell, in `/app`.
    Exec {
        /// The path and the arguments; not empty.
        argv: Vec<String>,
    },
}

/// What to build.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BuildRequest {
    /// `STACK` as buildpacks see it, such as `heroku-24`.
    pub stack: String,
    /// The commit, or whatever the API's caller gave as version; `SOURCE_VERSION`.
    pub source_version: Option<String>,
    /// `REQUEST_ID`.
    pub request_id: String,
    /// The app's config vars, for `ENV_DIR`.
    pub config_vars: BTreeMap<String, String>,
    /// The buildpacks set on the app, in order; empty means detect.
    pub buildpacks: Vec<BuildpackRef>,
    /// The runtimes mounted into this instance, under `/app/.heroku/NAME`.
    pub runtimes: Vec<Runtime>,
    /// Where the outside found each package source, such as `npm` → `https://registry.example/`; a build uses them
    /// unless the app brings its own settings.
    pub sources: BTreeMap<String, String>,
    /// Whether the top folder of the source tar is dropped (source blobs of code hosts have one).
    pub strip_top_folder: bool,
}

impl BuildRequest {
    /// For a runner that builds no app.
    #[must_use]
    pub fn for_nothing(stack: &str) -> Self {
        Self {
            stack: stack.to_owned(),
            source_version: None,
            request_id: String::new(),
            config_vars: BTreeMap::new(),
            buildpacks: Vec::new(),
            runtimes: Vec::new(),
            sources: BTreeMap::new(),
            strip_top_folder: false,
        }
    }
}

/// A buildpack as the app names it, already resolved by the outside to what can be fetched.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum BuildpackRef {
    /// One of ours: `nodejs`, `python`, `static`, `procfile`.
    BuiltIn(String),
    /// A git repository, with a branch, tag or commit behind `#`.
    Git(String),
    /// A tarball (`.tgz`, `.tar.gz`, `.tar`) over https.
    Tarball(String),
}

/// A language runtime of an exact version.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Runtime {
    /// `node`, `npm`, `python`, `pip`, `uv`, `static`.
    pub name: String,
    /// Exact, such as `22.23.3`.
    pub version: String,
}

/// How a build, or its first instance, ended. One JSON document of at most 1 MiB.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum BuildReport {
    /// A runtime is needed that is not mounted; the outside resolves it, mounts it and starts the build again.
    /// Nothing of the build was printed yet beyond what stands in `printed`.
    NeedsRuntimes {
        /// Each runtime with the version requirement as the app wrote it (`22.x`, `>=20`, empty for the default).
        runtimes: Vec<RuntimeWish>,
    },
    /// The app was compiled and written to [`SLUG_FD`].
    Compiled(Compiled),
    /// The app cannot be built; the output already says why.
    Failed {
        /// The line for `Push rejected, failed to compile …`: the app's kind, such as `Node.js`, if one was detected.
        language: Option<String>,
        /// One line that says what happened.
        message: String,
    },
}

/// A wish for a runtime.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct RuntimeWish {
    /// `node`, `npm`, `python`, `pip`, `uv`, `static`.
    pub name: String,
    /// The requirement in the ecosystem's own notation; empty for the platform's default.
    pub requirement: String,
}

/// What a requirement of Node.js or npm means, before it is a range of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement<'a> {
    /// Nothing, or the long-term support: the platform's default is chosen, and a version that is there will do.
    Default,
    /// The newest there is; a version that is there will do.
    Newest,
    /// A range as npm writes it, or what is meant to be one.
    Range(&'a str),
}

impl<'a> From<&'a str> for Requirement<'a> {
    /// `.nvmrc` and `engines` know names beside ranges: <https://github.com/nvm-sh/nvm#long-term-support>.
    fn from(text: &'a str) -> Self {
        let text = text.trim();
        match text.to_ascii_lowercase().as_str() {
            "" | "lts" | "lts/*" => Self::Default,
            "latest" | "current" | "node" | "stable" => Self::Newest,
            "lts/krypton" => Self::Range("24.x"),
            "lts/jod" => Self::Range("22.x"),
            "lts/iron" => Self::Range("20.x"),
            "lts/hydrogen" => Self::Range("18.x"),
            _ => Self::Range(text),
        }
    }
}

/// What a successful build found out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Compiled {
    /// Name on the slug: `Node.js`, or what the last buildpack's `detect` printed.
    pub language: String,
    /// Buildpacks used, as the API shows them (`heroku/nodejs`, a URL), in order.
    pub buildpacks: Vec<String>,
    /// Buildpacks that detection chose and that are to be stored on the app; empty if they were set.
    pub detected: Vec<String>,
    /// The merged process types: the Procfile over `bin/release`.
    pub process_types: BTreeMap<String, String>,
    /// `config_vars` of `bin/release`, set on the app where it has none of that name.
    pub config_vars: BTreeMap<String, String>,
    /// The runtimes the slug needs mounted at run time.
    pub runtimes: Vec<Runtime>,
    /// Whether the cache was written to [`CACHE_FD`].
    pub cache_written: bool,
}
