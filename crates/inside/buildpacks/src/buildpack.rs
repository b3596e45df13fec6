//! One buildpack of a build, built in or fetched, behind the classic contract.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use inside_contract::BuildpackRef;

use crate::builtin::{BuiltIn, Site};
use crate::environment::{self, Environment};
use crate::error::BuildError;
use crate::output::Output;
use crate::release::{self, Release};

/// The folders of a build that every buildpack is given, and its output.
#[derive(Debug)]
pub(crate) struct Folders<'a> {
    pub(crate) build: PathBuf,
    pub(crate) config_vars: PathBuf,
    pub(crate) layout: &'a crate::layout::Layout,
    pub(crate) out: &'a Output,
}

/// A buildpack with a writable folder of its own.
#[derive(Debug)]
pub(crate) struct Buildpack {
    /// As the API shows it.
    pub(crate) name: String,
    root: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    BuiltIn(BuiltIn),
    Programs,
}

/// As the API shows it.
pub(crate) fn name(reference: &BuildpackRef) -> String {
    match reference {
        BuildpackRef::BuiltIn(name) => {
            BuiltIn::from_name(name).map_or_else(|_| name.clone(), |built_in| built_in.name().to_owned())
        }
        BuildpackRef::Git(url) | BuildpackRef::Tarball(url) => url.clone(),
    }
}

impl Buildpack {
    /// Gets it ready in `folder`: fetched, or made for a built-in one.
    pub(crate) fn prepare(
        reference: &BuildpackRef,
        folder: &Path,
        env: &Environment,
        folders: &Folders<'_>,
    ) -> Result<Self, BuildError> {
        let (kind, root) = if let BuildpackRef::BuiltIn(name) = reference {
            fs::create_dir_all(folder).map_err(BuildError::io("making the buildpack's folder"))?;
            (Kind::BuiltIn(BuiltIn::from_name(name)?), folder.to_owned())
        } else {
            (Kind::Programs, crate::fetch::fetch(reference, folder, env, folders.layout, folders.out)?)
        };
        Ok(Self { name: name(reference), root, kind })
    }

    /// `bin/detect`: the name it printed, or none. What it says on stderr is shown, as it was set on purpose.
    pub(crate) fn detect(&self, env: &Environment, folders: &Folders<'_>) -> Result<Option<String>, BuildError> {
        if let Kind::BuiltIn(built_in) = &self.kind {
            return Ok(built_in.detect(&folders.build).map(str::to_owned));
        }
        let mut command = self.program("detect", env, folders);
        command.arg(&folders.build).stdin(Stdio::null()).stderr(folders.out.stdio().map_err(self.starting("detect"))?);
        let output = command.output().map_err(self.starting("detect"))?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let name: String = printed.lines().next().unwrap_or_default().trim().chars().take(100).collect();
        Ok(output.status.success().then_some(name))
    }

    /// `bin/compile BUILD_DIR CACHE_DIR ENV_DIR`.
    pub(crate) fn compile(&self, env: &Environment, folders: &Folders<'_>) -> Result<(), BuildError> {
        if let Kind::BuiltIn(built_in) = &self.kind {
            return built_in.compile(self.site(env, folders));
        }
        let mut command = self.program("compile", env, folders);
        command.arg(&folders.build).arg(&folders.layout.cache).arg(&folders.config_vars);
        let status = folders.out.stream(&mut command).map_err(self.starting("compile"))?;
        if status.success() { Ok(()) } else { Err(self.failed("bin/compile", status)) }
    }

    /// The environment for the buildpacks that follow.
    pub(crate) fn export(&self, env: Environment, folders: &Folders<'_>) -> Result<Environment, BuildError> {
        let export = self.root.join("export");
        if !export.is_file() {
            return Ok(env);
        }
        environment::after_export(&export, &env, &folders.build, folders.out)
            .map_err(self.starting("export"))?
            .map_err(|status| self.failed("export", status))
    }

    /// `bin/release BUILD_DIR`, which a buildpack may lack.
    pub(crate) fn release(&self, env: &Environment, folders: &Folders<'_>) -> Result<Release, BuildError> {
        if let Kind::BuiltIn(built_in) = &self.kind {
            return Ok(built_in.release(&folders.build));
        }
        if !self.root.join("bin/release").is_file() {
            return Ok(Release::default());
        }
        let mut command = self.program("release", env, folders);
        command.arg(&folders.build).stdin(Stdio::null()).stderr(folders.out.stdio().map_err(self.starting("release"))?);
        let output = command.output().map_err(self.starting("release"))?;
        if !output.status.success() {
            return Err(self.failed("bin/release", output.status));
        }
        release::parse(&output.stdout).map_err(|reason| BuildError::Release { buildpack: self.name.clone(), reason })
    }

    /// `bin/report BUILD_DIR CACHE_DIR ENV_DIR`, after success and failure alike. What it prints is for the platform,
    /// which has no use for it yet; whatever it does never changes the build.
    pub(crate) fn report(&self, env: &Environment, folders: &Folders<'_>) {
        if matches!(self.kind, Kind::Programs) && self.root.join("bin/report").is_file() {
            let mut command = self.program("report", env, folders);
            command.arg(&folders.build).arg(&folders.layout.cache).arg(&folders.config_vars);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok();
        }
    }

    fn site<'a>(&'a self, env: &'a Environment, folders: &'a Folders<'_>) -> Site<'a> {
        Site {
            build: &folders.build,
            cache: &folders.layout.cache,
            config_vars: &folders.config_vars,
            own: &self.root,
            env,
            layout: folders.layout,
            out: folders.out,
        }
    }

    fn program(&self, name: &str, env: &Environment, folders: &Folders<'_>) -> Command {
        let mut command = Command::new(self.root.join("bin").join(name));
        command.env_clear().envs(env).current_dir(&folders.build);
        command
    }

    fn starting(&self, program: &str) -> impl FnOnce(std::io::Error) -> BuildError {
        BuildError::io(format!("starting {program} of the buildpack {}", self.name))
    }

    fn failed(&self, program: &'static str, status: std::process::ExitStatus) -> BuildError {
        BuildError::Program { program, buildpack: self.name.clone(), status }
    }
}
