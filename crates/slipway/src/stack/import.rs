//! `slipway stack import`: an image that somebody else built becomes a stack.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use base64::Engine as _;
use clap::Args;
use local::stack::import::StackImport;
use vocabulary::{Secret, Stack};

use super::installed::{self, Record, Use};
use super::pulled::{self, Pulled};
use super::reference::{InvalidReference, Reference};
use super::registry::{self, Credentials};
use crate::layout::Layout;
use crate::printer;
use crate::settings::{Settings, Written};
use crate::users::{Users, own_folder};

pub(super) const TAUGHT: &str = "\
Heroku's own images, from Docker Hub:
  slipway stack import heroku-24 heroku/heroku:24 --build-image heroku/heroku:24-build

The same on a machine without a way to the registry:
  docker save -o run.tar heroku/heroku:24            (where there is one)
  skopeo copy docker://heroku/heroku:24 oci:folder   (or so)
  slipway stack import heroku-24 run.tar

Then, for an app:
  heroku stack:set heroku-24 -a my-app && git commit --allow-empty -m stack && git push heroku main

An image must be for linux/amd64 and have glibc, /bin/bash, /bin/sh and /usr/bin/env. Its entry point, user and ports
do not count; devices and setuid bits are left out; the host's certificates are put in place of its own. heroku-22,
heroku-24 and heroku-26 are provided by debian-13 until an image is imported under their name. A folder or file is
meant if it exists or begins with / or a dot. --replace refreshes a stack; dynos take the new image when they restart.";

/// The most bytes of a file of credentials.
const MAX_CREDENTIALS: u64 = 1 << 20;

/// What to import.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// What apps call it: heroku-22, heroku-24, heroku-26, or a name of your own
    name: String,
    /// What dynos run on: [REGISTRY/]NAME[:TAG][@sha256:DIGEST], the folder of an OCI layout, or an archive
    image: String,
    /// What builds run on, with compilers and headers [default: the same image]
    #[arg(long, value_name = "IMAGE")]
    build_image: Option<String>,
    /// Who we are to the registry: a file with USER:PASSWORD, or docker's config.json
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// The value of STACK that buildpacks see [default: what the image has in STACK, or the name, or heroku-24]
    #[arg(long, value_name = "NAME")]
    buildpacks_stack: Option<String>,
    /// Put it in the place of a stack that is there or that apps already use
    #[arg(long)]
    replace: bool,
    #[command(flatten, next_help_heading = "Settings of the platform")]
    written: Written,
}

/// Why it was not imported.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("could not import as {0}")]
    Name(String, #[source] vocabulary::InvalidStack),
    #[error("could not import {0}")]
    Reference(String, #[source] InvalidReference),
    #[error("could not use the credentials in {0}")]
    Credentials(PathBuf, #[source] std::io::Error),
    #[error("could not fetch {0}")]
    Registry(String, #[source] registry::Error),
    #[error(transparent)]
    Import(#[from] local::stack::import::Error),
    #[error("could not prepare the data folder")]
    Data(#[source] std::io::Error),
    #[error(transparent)]
    Usage(#[from] installed::Error),
    #[error(
        "these apps use {0} as it is: {1}; give --replace to let them run on the new image from their next restart, \
         and push each again, as what was compiled may not fit"
    )]
    InUse(Stack, String),
}

/// Runs the command.
pub(super) fn run(asked: &Import) -> ExitCode {
    crate::settled(asked.written.clone(), |settings| crate::told(import(asked, settings)))
}

fn import(asked: &Import, settings: &Settings) -> Result<(), Error> {
    let stack: Stack = asked.name.parse().map_err(|error| Error::Name(asked.name.clone(), error))?;
    let record = Record::of_settings(settings);
    let used = installed::used(&record, stack)?;
    if let Use { apps, .. } = &used
        && !apps.is_empty()
        && !asked.replace
    {
        return Err(Error::InUse(stack, installed::told(apps)));
    }
    let (packer, packer_uid) = helpers(settings).map_err(Error::Data)?;
    let credentials = asked.credentials.as_deref();
    let hosts = [Some(&asked.image), asked.build_image.as_ref()];
    let hosts = hosts.into_iter().flatten().filter_map(|image| image.parse::<Reference>().ok());
    let hosts: BTreeSet<String> = hosts.map(|reference| reference.host).collect();
    if let Some(file) = credentials.filter(|_| hosts.len() > 1) {
        for_several(file)?;
    }
    let run = locate(&asked.image, settings, credentials)?;
    let build = asked.build_image.as_deref().map(|image| locate(image, settings, credentials)).transpose()?;
    let plan = StackImport {
        name: stack.to_string(),
        run: run.path.clone(),
        build: build.as_ref().map(|build| build.path.clone()),
        origin: run.origin.clone(),
        buildpacks: asked.buildpacks_stack.clone(),
        ca_bundle: settings.ca_bundle.clone(),
        stacks: settings.data.join("stacks"),
        replace: asked.replace,
        packer_uid,
        packer,
        mksquashfs: PathBuf::from("/usr/bin/mksquashfs"),
    };
    let imported = local::stack::import::import(&plan, &mut |line| printer::say(line));
    // What is imported is not needed again, and what is refused would be refused again.
    if !matches!(&imported, Err(error) if !error.is_the_images()) {
        run.forget();
        build.iter().for_each(Image::forget);
    }
    let imported = imported?;
    // Compiled for the image that was replaced.
    installed::forget_caches(&record, stack)?;
    let report = imported.build.as_ref().unwrap_or(&imported.run);
    if !report.lacks.is_empty() {
        printer::warn(format!(
            "Builds lack {}, which some buildpacks call; an image for builds goes with --build-image",
            report.lacks.join(", ")
        ));
    }
    printer::say(format!("Stack {stack}: imported; buildpacks see STACK={}", imported.buildpacks));
    printer::say(format!("Choose it for an app: heroku stack:set {stack} -a APP, then push"));
    if !used.apps.is_empty() {
        printer::say(format!("On it after their next restart: {}", installed::told(&used.apps)));
    }
    Ok(())
}

/// The program that reads images without rights, as a file it can pass to, and its user.
fn helpers(settings: &Settings) -> std::io::Result<(Vec<String>, u32)> {
    let users = Users::ensure()?;
    let layout = Layout::create(&settings.data)?;
    own_folder(&layout.data, 0o711, None)?;
    for name in ["bin", "stacks"] {
        own_folder(&layout.at(name), 0o755, None)?;
    }
    crate::supervisor::copy_programs(&layout.at("bin"))?;
    let program = layout.at("bin").join("slipway").display().to_string();
    Ok((vec![program, "packer".to_owned()], users.packer.uid))
}

/// An image on this machine.
struct Image {
    path: PathBuf,
    origin: String,
    fetched: Option<Pulled>,
}

impl Image {
    /// Deletes what was fetched.
    fn forget(&self) {
        self.fetched.iter().for_each(Pulled::forget);
    }
}

fn locate(image: &str, settings: &Settings, credentials: Option<&Path>) -> Result<Image, Error> {
    if image.starts_with(['/', '.']) || Path::new(image).exists() {
        return Ok(Image { path: PathBuf::from(image), origin: image.to_owned(), fetched: None });
    }
    let reference: Reference = image.parse().map_err(|error| Error::Reference(image.to_owned(), error))?;
    let credentials = credentials.map(|file| read_credentials(file, &reference)).transpose()?.flatten();
    let failed = |error| Error::Registry(reference.to_string(), error);
    let client = registry::client(&settings.ca_bundle).map_err(failed)?;
    let all = settings.cache.join("stacks/pulled");
    pulled::sweep(&all, SystemTime::now());
    // What a broken connection left is taken up again.
    let folder =
        Pulled::open(&all, &reference.to_string()).map_err(|error| failed(registry::Error::Write(all, error)))?;
    printer::say(format!("Fetching {reference}"));
    let mut progress = |line: &str| printer::say(line);
    let pulled = registry::pull(&client, &reference, credentials.as_ref(), folder.path(), &mut progress);
    let digest = crate::block_on(pulled).map_err(failed)?;
    let origin = reference.to_string();
    let origin = if origin.contains('@') { origin } else { format!("{origin}@sha256:{digest}") };
    Ok(Image { path: folder.path().to_owned(), origin, fetched: Some(folder) })
}

/// Refuses a file of one `USER:PASSWORD` where there are two registries: each would be told it.
fn for_several(file: &Path) -> Result<(), Error> {
    let failed = |error| Error::Credentials(file.to_owned(), error);
    if credentials_text(file).map_err(failed)?.trim_start().starts_with('{') {
        return Ok(());
    }
    let told = "it holds one USER:PASSWORD for two registries: give what `docker login` writes, which names each";
    Err(failed(std::io::Error::other(told)))
}

fn credentials_text(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    fs::File::open(file).and_then(|file| file.take(MAX_CREDENTIALS).read_to_string(&mut text))?;
    Ok(text)
}

/// Reads `USER:PASSWORD`, or what `docker login` writes; nothing if that file knows nothing of this registry.
fn read_credentials(file: &Path, reference: &Reference) -> Result<Option<Credentials>, Error> {
    let failed = |error| Error::Credentials(file.to_owned(), error);
    let text = credentials_text(file).map_err(failed)?;
    let odd = |text: &str| failed(std::io::Error::other(text.to_owned()));
    let pair = |text: &str| {
        let (user, password) = text.trim_end().split_once(':')?;
        Some(Credentials { user: user.to_owned(), password: Secret::new(password) })
    };
    if !text.trim_start().starts_with('{') {
        return pair(&text).map(Some).ok_or_else(|| odd("it holds no USER:PASSWORD"));
    }
    let config: serde_json::Value = serde_json::from_str(&text).map_err(|error| odd(&error.to_string()))?;
    let names = [reference.host.as_str(), "https://index.docker.io/v1/"];
    let mut names = names.iter().take(if reference.host == "registry-1.docker.io" { 2 } else { 1 });
    let Some(auth) = names.find_map(|name| config["auths"][name]["auth"].as_str()) else { return Ok(None) };
    let bytes = base64::engine::general_purpose::STANDARD.decode(auth).map_err(|error| odd(&error.to_string()))?;
    pair(&String::from_utf8_lossy(&bytes)).map(Some).ok_or_else(|| odd("it holds no user and password"))
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn one_password_is_not_told_to_two_registries() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        fs::write(&file, "ada:secret\n").unwrap();
        assert!(for_several(&file).unwrap_err().source().unwrap().to_string().contains("two registries"));
        fs::write(&file, r#"{"auths": {}}"#).unwrap();
        assert!(for_several(&file).is_ok());
    }

    #[test]
    fn credentials_are_read_from_either_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        let read = |text: &str, image: &str| {
            fs::write(&file, text).unwrap();
            let read = read_credentials(&file, &image.parse().unwrap()).map_err(|error| error.to_string())?;
            Ok::<_, String>(read.map(|known| format!("{}:{}", known.user, known.password.reveal())))
        };
        assert_eq!(read("ada:pass:word\n", "x.example/y"), Ok(Some("ada:pass:word".to_owned())));
        assert!(read("no colon", "x.example/y").is_err());
        let config = r#"{"auths":{"x.example":{"auth":"YWRhOnB3"},"https://index.docker.io/v1/":{"auth":"Ym9iOnB3"}}}"#;
        assert_eq!(read(config, "x.example/y"), Ok(Some("ada:pw".to_owned())));
        assert_eq!(read(config, "heroku/heroku:24"), Ok(Some("bob:pw".to_owned())));
        assert_eq!(read(config, "other.example/y"), Ok(None));
    }
}
