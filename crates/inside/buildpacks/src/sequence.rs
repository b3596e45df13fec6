//! The order of a build: source, `.slugignore`, which buildpacks, then each in turn, process types, slug, cache.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use inside_contract::{BuildReport, BuildRequest, BuildpackRef, Compiled, Runtime, RuntimeWish};
use sha2::{Digest as _, Sha256};

use crate::buildpack::{self, Buildpack, Folders};
use crate::builtin::BuiltIn;
use crate::environment::{self, Environment};
use crate::error::BuildError;
use crate::layout::Layout;
use crate::output::Output;
use crate::release::Release;
use crate::{nodejs, pack, process_types, python, slugignore, source};

/// Where the parts of a build come from and go to.
pub(crate) struct Channels<'a> {
    /// The source tar.
    pub(crate) source: Box<dyn Read + 'a>,
    /// Takes the slug.
    pub(crate) slug: Box<dyn Write + 'a>,
    /// Takes the cache.
    pub(crate) cache: Box<dyn Write + 'a>,
    /// What people read.
    pub(crate) out: &'a Output,
}

/// The buildpacks of a build, and whether they were detected.
struct Plan {
    buildpacks: Vec<BuildpackRef>,
    detected: bool,
    wishes: Vec<RuntimeWish>,
}

/// Builds; a failure is explained in the output and told in the report.
pub(crate) fn run(request: &BuildRequest, channels: Channels<'_>, layout: &Layout) -> BuildReport {
    let mut language = None;
    let out = channels.out;
    build(request, channels, layout, &mut language).unwrap_or_else(|error| {
        let explanation = error.explain();
        if !explanation.is_empty() {
            out.raw("\n");
            out.error(&explanation);
            out.raw("\n");
        }
        if let BuildError::NotBuiltIn(found) = &error {
            language = Some(found.name().to_owned());
        }
        BuildReport::Failed { language, message: error.with_causes() }
    })
}

fn build(
    request: &BuildRequest,
    channels: Channels<'_>,
    layout: &Layout,
    language: &mut Option<String>,
) -> Result<BuildReport, BuildError> {
    let Channels { source, slug, cache, out } = channels;
    let folders = folders(request, layout, out)?;
    let ignored = unpack(request, source, layout, &folders.build);
    let plan = match &ignored {
        Ok(_) => plan(request, &folders.build, language),
        Err(_) => Err(BuildError::NothingDetected),
    };
    let missing = plan.as_ref().map(|plan| missing(plan, request)).unwrap_or_default();
    if !missing.is_empty() {
        // Nothing was printed yet: the build starts again once they are mounted.
        return Ok(BuildReport::NeedsRuntimes { runtimes: missing });
    }
    header(request, out);
    if let Some(count) = ignored? {
        out.section(&format!("Deleting {count} files matching .slugignore patterns."));
    }
    compile_all(request, &plan?, (slug, cache), &folders, language).map(BuildReport::Compiled)
}

/// Runs the buildpacks of a plan, and writes what they made into `slug` and `cache`.
fn compile_all(
    request: &BuildRequest,
    plan: &Plan,
    (slug, cache): (Box<dyn Write + '_>, Box<dyn Write + '_>),
    folders: &Folders<'_>,
    language: &mut Option<String>,
) -> Result<Compiled, BuildError> {
    let (layout, out) = (folders.layout, folders.out);
    environment::write_config_vars(&folders.config_vars, &request.config_vars)
        .map_err(BuildError::io("writing the config vars"))?;
    let before = pack::fingerprint(&layout.cache).map_err(BuildError::io("looking at the cache"))?;
    let release = each(request, plan, folders, language)?;
    let types = process_types::merge(&folders.build, &release.default_process_types)?;
    types.show(out);
    out.section("Compressing...");
    let runtimes = used_runtimes(plan, request);
    write_slug(&folders.build, slug, &runtimes)?;
    let names: Vec<String> = plan.buildpacks.iter().map(buildpack::name).collect();
    Ok(Compiled {
        language: language.take().unwrap_or_default(),
        detected: if plan.detected { names.clone() } else { Vec::new() },
        buildpacks: names,
        process_types: types.into_all(),
        config_vars: release.config_vars,
        runtimes,
        cache_written: write_cache(layout, before, cache, out)?,
    })
}

/// `BUILD_DIR` and `ENV_DIR`, fresh; an instance before this one may have left its own on the same volume.
fn folders<'a>(request: &BuildRequest, layout: &'a Layout, out: &'a Output) -> Result<Folders<'a>, BuildError> {
    let digest = Sha256::digest(request.request_id.as_bytes());
    let id = pack::hex(digest.get(..4).unwrap_or_default());
    let fresh = |name: &str| -> Result<PathBuf, BuildError> {
        let folder = layout.work.join(format!("{name}_{id}"));
        let doing = || BuildError::io(format!("making {}", folder.display()));
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(doing())?;
        }
        fs::create_dir_all(&folder).map_err(doing())?;
        Ok(folder)
    };
    Ok(Folders { build: fresh("build")?, config_vars: fresh("env")?, layout, out })
}

fn unpack(
    request: &BuildRequest,
    source: impl Read,
    layout: &Layout,
    folder: &Path,
) -> Result<Option<u64>, BuildError> {
    source::extract(source, folder, layout.source, request.strip_top_folder)?;
    let history = folder.join(".git");
    if history.is_dir() {
        fs::remove_dir_all(&history).map_err(BuildError::io("removing .git"))?;
    }
    slugignore::apply(folder).map_err(BuildError::io("applying .slugignore"))
}

fn plan(request: &BuildRequest, folder: &Path, language: &mut Option<String>) -> Result<Plan, BuildError> {
    let detected = request.buildpacks.is_empty();
    let buildpacks = if detected {
        vec![BuildpackRef::BuiltIn(BuiltIn::choose(folder)?.name().to_owned())]
    } else {
        request.buildpacks.clone()
    };
    let mut wishes = Vec::new();
    for buildpack in &buildpacks {
        let BuildpackRef::BuiltIn(name) = buildpack else { continue };
        let built_in = BuiltIn::from_name(name)?;
        // An app it does not take has no wishes; the sequence will say so in its turn.
        if let Some(name) = built_in.detect(folder) {
            let needed = built_in.runtimes(folder).inspect_err(|_| *language = Some(name.to_owned()));
            wishes.extend(needed?);
        }
    }
    Ok(Plan { buildpacks, detected, wishes })
}

/// The wishes that no mounted runtime meets. npm's goes with Node's: another Node brings another npm along.
fn missing(plan: &Plan, request: &BuildRequest) -> Vec<RuntimeWish> {
    let unmet = |wish: &RuntimeWish| !request.runtimes.iter().any(|runtime| serves(runtime, wish));
    let node = plan.wishes.iter().any(|wish| wish.name == "node" && unmet(wish));
    plan.wishes.iter().filter(|wish| unmet(wish) || (node && wish.name == "npm")).cloned().collect()
}

/// What is no requirement is not asked for again: the buildpack explains it.
fn serves(runtime: &Runtime, wish: &RuntimeWish) -> bool {
    let meets = if wish.name == "python" { python::meets } else { nodejs::meets };
    runtime.name == wish.name && meets(&wish.requirement, &runtime.version).unwrap_or(true)
}

fn used_runtimes(plan: &Plan, request: &BuildRequest) -> Vec<Runtime> {
    let wished = |runtime: &&Runtime| plan.wishes.iter().any(|wish| wish.name == runtime.name);
    request.runtimes.iter().filter(wished).cloned().collect()
}

fn header(request: &BuildRequest, out: &Output) {
    let mut stack = request.stack.chars();
    let stack: String = stack.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(stack).collect();
    out.section(&format!("Building on the {stack} stack"));
    match request.buildpacks.as_slice() {
        [] => out.section("Determining which buildpack to use for this app"),
        [one] => out.section(&format!("Using buildpack: {}", buildpack::name(one))),
        several => {
            out.section("Using buildpacks:");
            for (index, one) in several.iter().enumerate() {
                out.text(&format!("{}. {}", index + 1, buildpack::name(one)));
            }
        }
    }
}

/// Each buildpack in turn: detect, compile, export. The last one's release decides, with the config vars of all.
fn each(
    request: &BuildRequest,
    plan: &Plan,
    folders: &Folders<'_>,
    language: &mut Option<String>,
) -> Result<Release, BuildError> {
    let mut env = environment::first(request, folders.layout);
    let mut release = Release::default();
    let own = folders.config_vars.with_file_name("buildpacks");
    if own.exists() {
        fs::remove_dir_all(&own).map_err(BuildError::io("removing older buildpacks"))?;
    }
    fs::create_dir_all(&own).map_err(BuildError::io("making the folder of the buildpacks"))?;
    for (index, reference) in plan.buildpacks.iter().enumerate() {
        let buildpack = Buildpack::prepare(reference, &own.join(index.to_string()), &env, folders)?;
        let found = buildpack.detect(&env, folders)?.ok_or_else(|| BuildError::Incompatible(buildpack.name.clone()))?;
        folders.out.section(&format!("{found} app detected"));
        *language = Some(found);
        env = compile(&buildpack, env, folders)?;
        let offered = buildpack.release(&env, folders)?;
        let config_vars = std::mem::take(&mut release.config_vars).into_iter().chain(offered.config_vars).collect();
        release = Release { default_process_types: offered.default_process_types, config_vars };
    }
    Ok(release)
}

fn compile(buildpack: &Buildpack, env: Environment, folders: &Folders<'_>) -> Result<Environment, BuildError> {
    let compiled = buildpack.compile(&env, folders);
    buildpack.report(&env, folders);
    compiled?;
    buildpack.export(env, folders)
}

fn write_slug(folder: &Path, slug: Box<dyn Write + '_>, runtimes: &[Runtime]) -> Result<(), BuildError> {
    let names: Vec<String> = runtimes.iter().map(|runtime| runtime.name.clone()).collect();
    pack::write(folder, slug, |path| pack::outside_the_slug(path, &names)).map_err(BuildError::io("writing the slug"))
}

/// Writes the cache if it changed and is not too large to be kept.
fn write_cache(
    layout: &Layout,
    before: ([u8; 32], u64),
    cache: Box<dyn Write + '_>,
    out: &Output,
) -> Result<bool, BuildError> {
    let after = pack::fingerprint(&layout.cache).map_err(BuildError::io("looking at the cache"))?;
    if after.0 == before.0 {
        return Ok(false);
    }
    if after.1 > layout.cache_bytes {
        let (has, limit) = (after.1 >> 20, layout.cache_bytes >> 20);
        out.text(&format!("The build cache has {has} MiB and is not kept: the limit is {limit} MiB."));
        return Ok(false);
    }
    pack::write(&layout.cache, cache, |_| false).map_err(BuildError::io("writing the cache"))?;
    Ok(true)
}
