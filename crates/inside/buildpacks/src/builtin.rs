//! The buildpacks that are part of the platform. They keep the classic contract (detect, compile, release, `export`),
//! so that they mix with any other, and can be called by another buildpack through `/.slipway/buildpacks NAME VERB …`.

use std::path::Path;

use inside_contract::RuntimeWish;

use crate::detect::{Language, detect};
use crate::environment::Environment;
use crate::error::BuildError;
use crate::layout::Layout;
use crate::output::Output;
use crate::release::Release;
use crate::{nodejs, python, static_site};

/// A buildpack of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuiltIn {
    /// Node.js with npm.
    Nodejs,
    /// Python with pip or uv.
    Python,
    /// Files served by our own small server.
    Static,
    /// Nothing to build: the Procfile's commands run on the bare stack.
    Procfile,
}

/// What a built-in buildpack's compile is given: the three folders of the contract, and what it may write to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    /// `BUILD_DIR`.
    pub(crate) build: &'a Path,
    /// `CACHE_DIR`.
    pub(crate) cache: &'a Path,
    /// `ENV_DIR`.
    pub(crate) config_vars: &'a Path,
    /// The buildpack's own folder, where `export` goes.
    pub(crate) own: &'a Path,
    /// The environment the contract gives it.
    pub(crate) env: &'a Environment,
    /// Where things are.
    pub(crate) layout: &'a Layout,
    /// The build's output.
    pub(crate) out: &'a Output,
}

impl BuiltIn {
    /// By its name, with or without `heroku/` in front.
    pub(crate) fn from_name(name: &str) -> Result<Self, BuildError> {
        match name.strip_prefix("heroku/").unwrap_or(name) {
            "nodejs" => Ok(Self::Nodejs),
            "python" => Ok(Self::Python),
            "static" => Ok(Self::Static),
            "procfile" => Ok(Self::Procfile),
            other => Err(Language::from_buildpack(other)
                .map_or_else(|| BuildError::UnknownBuiltIn(name.to_owned()), BuildError::NotBuiltIn)),
        }
    }

    /// For an app that names none: Heroku's languages in their order, then a static site, then a bare Procfile.
    pub(crate) fn choose(folder: &Path) -> Result<Self, BuildError> {
        match detect(folder) {
            Some(Language::Nodejs) => Ok(Self::Nodejs),
            Some(Language::Python) => Ok(Self::Python),
            Some(language) => Err(BuildError::NotBuiltIn(language)),
            None => [Self::Static, Self::Procfile]
                .into_iter()
                .find(|buildpack| buildpack.detect(folder).is_some())
                .ok_or(BuildError::NothingDetected),
        }
    }

    /// As the API shows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nodejs => "heroku/nodejs",
            Self::Python => "heroku/python",
            Self::Static => "heroku/static",
            Self::Procfile => "heroku/procfile",
        }
    }

    /// `bin/detect`: the name of what it found.
    pub(crate) fn detect(self, folder: &Path) -> Option<&'static str> {
        match self {
            Self::Nodejs => folder.join("package.json").is_file().then_some("Node.js"),
            Self::Python => Language::Python.is_of(folder).then_some("Python"),
            Self::Static => static_site::detect(folder).then_some("Static site"),
            Self::Procfile => folder.join("Procfile").is_file().then_some("Procfile"),
        }
    }

    /// The runtimes it needs mounted to build and to run this app.
    pub(crate) fn runtimes(self, folder: &Path) -> Result<Vec<RuntimeWish>, BuildError> {
        match self {
            Self::Nodejs => nodejs::runtimes(folder),
            Self::Python => python::runtimes(folder),
            Self::Static => Ok(vec![RuntimeWish { name: "static".to_owned(), requirement: String::new() }]),
            Self::Procfile => Ok(Vec::new()),
        }
    }

    /// `bin/compile`.
    pub(crate) fn compile(self, site: Site<'_>) -> Result<(), BuildError> {
        match self {
            Self::Nodejs => nodejs::compile(site),
            Self::Python => python::compile(site),
            Self::Static => static_site::compile(site),
            Self::Procfile => Ok(()),
        }
    }

    /// `bin/release`.
    pub(crate) fn release(self, folder: &Path) -> Release {
        let web = match self {
            Self::Nodejs => nodejs::default_web(folder),
            Self::Static => Some(static_site::WEB),
            Self::Python | Self::Procfile => None,
        };
        let web = web.map(|command| ("web".to_owned(), command.to_owned()));
        Release { default_process_types: web.into_iter().collect(), ..Release::default() }
    }
}
