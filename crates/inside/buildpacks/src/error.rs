//! Why a build fails, as one line for the report and as the words for the person who pushed.

use std::io;
use std::process::ExitStatus;

use crate::detect::Language;
use crate::source::SourceError;

/// Why an app cannot be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// The machine, not the app, is to blame.
    #[error("{doing}")]
    Io {
        /// What was being attempted.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The source cannot be unpacked.
    #[error("unpacking the source")]
    Source(#[from] SourceError),
    /// No built-in buildpack knows the app.
    #[error("no default language could be detected for this app")]
    NothingDetected,
    /// The app's language is known, but there is no built-in buildpack for it yet.
    #[error("{} has no built-in buildpack yet", .0.name())]
    NotBuiltIn(Language),
    /// The app names a built-in buildpack that does not exist.
    #[error("there is no built-in buildpack {0:?}")]
    UnknownBuiltIn(String),
    /// A buildpack could not be fetched.
    #[error("fetching the buildpack {url}: {reason}")]
    Fetch {
        /// As the app names it.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// A buildpack that was set on the app does not take it.
    #[error("the app is not compatible with the buildpack {0}")]
    Incompatible(String),
    /// A buildpack's program ended with an error.
    #[error("{program} of the buildpack {buildpack} failed ({status})")]
    Program {
        /// `bin/compile`, `export` or `bin/release`.
        program: &'static str,
        /// As the app names it.
        buildpack: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// What `bin/release` printed is no release.
    #[error("bin/release of the buildpack {buildpack} printed something else than a release: {reason}")]
    Release {
        /// As the app names it.
        buildpack: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The Procfile cannot be used.
    #[error("{0}")]
    Procfile(String),
    /// A built-in buildpack says what is wrong with the app.
    #[error("{message}")]
    App {
        /// One line.
        message: String,
        /// What happened, what we saw, what to try; without the ` !     ` in front. Empty if it was printed already.
        explanation: String,
    },
}

impl BuildError {
    /// For `map_err`: an error of the system while `doing`.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// For the person who pushed, without the form of an error line; empty if everything was said already.
    pub(crate) fn explain(&self) -> String {
        match self {
            Self::NothingDetected => NOTHING_DETECTED.to_owned(),
            Self::NotBuiltIn(language) => not_built_in(*language),
            Self::UnknownBuiltIn(name) => {
                format!("There is no built-in buildpack \"{name}\".\n\n{SUPPORTED}")
            }
            Self::Fetch { url, reason } => fetch(url, reason),
            Self::Incompatible(buildpack) => incompatible(buildpack),
            Self::Program { program: "bin/compile", .. } => String::new(),
            Self::App { explanation, .. } => explanation.clone(),
            Self::Io { .. } | Self::Source(_) | Self::Program { .. } | Self::Release { .. } | Self::Procfile(_) => {
                sentence(&self.with_causes())
            }
        }
    }

    /// The text with all its causes, for the report.
    pub(crate) fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}

const SUPPORTED: &str = "Built in are now: heroku/nodejs, heroku/python, static (static.json or index.html) and procfile.\n\
    Any other language works with its own buildpack:\n\n    heroku buildpacks:set https://github.com/heroku/heroku-buildpack-…";

const NOTHING_DETECTED: &str = "No default language could be detected for this app.\n\
    \t\t\tHINT: This occurs when no buildpack can be chosen for this application automatically.\n\
    \t\t\tSet one with `heroku buildpacks:set`, or add a package.json, an index.html or a Procfile\n\
    \t\t\tto the root of the repository. Is your app in a folder below it, or hidden by .slugignore?";

fn not_built_in(language: Language) -> String {
    let (name, marker, buildpack) = (language.name(), language.marker(), language.buildpack());
    format!(
        "This looks like a {name} app (it has {marker}), but {name} is not built in yet.\n\n\
         Built in are now: Node.js, Python, static sites and Procfile-only apps.\n\
         To build it with {name}'s own buildpack, set its URL and push again:\n\n    \
         heroku buildpacks:set https://github.com/heroku/heroku-buildpack-{buildpack}"
    )
}

fn fetch(url: &str, reason: &str) -> String {
    format!(
        "The buildpack could not be fetched.\n\n    {url}\n    {reason}\n\n\
         Check the URL (a git repository, with a branch, tag or commit behind #, or a .tgz over https),\n\
         that it can be read without a password, and that builds of this platform may reach it."
    )
}

fn incompatible(buildpack: &str) -> String {
    format!(
        "Application not supported by '{buildpack}' buildpack\n\n\
         The '{buildpack}' buildpack is set on this application, but was unable to detect a supported codebase.\n\
         Check that the files it looks for are committed and at the root of the repository,\n\
         or choose another one with `heroku buildpacks:set`."
    )
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}
