//! From a build's row to a slug: which layers are mounted, which runtimes are fetched, and what came out.

use std::collections::BTreeMap;

use blobs::{Blobs, Output};
use crashpoints::Point;
use engine::InstalledStack;
use inside_contract::{BuildReport, BuildRequest, Compiled, Runtime};
use store::apps::App;
use store::builds::Build;
use store::slugs::Slug;
use vocabulary::{ConfigVarName, Digest, ProcessType, ProcessTypes, Secret, SlugId, Stack, Timestamp};

use crate::instance::{Ran, Verb, What};
use crate::layers::Fresh;
use crate::runtimes::Mounted;
use crate::{Builds, installation, layers, text};

/// How often a build may ask for runtimes. Once is the rule; twice is for a buildpack whose wish depends on another's.
const ROUNDS: usize = 3;

/// Why a compile did not end in a slug.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A part of the platform was away; the build is to run again.
    Again(String),
    /// The build failed.
    Failed {
        /// The app's kind, if one was detected.
        language: Option<String>,
        /// One line: why.
        reason: String,
        /// Whether the output has said so already.
        told: bool,
    },
}

impl Trouble {
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { language: None, reason: reason.into(), told: false }
    }
}

impl From<engine::Error> for Trouble {
    fn from(error: engine::Error) -> Self {
        match error {
            // The last: a layer was discarded between its import and the start.
            engine::Error::Away | engine::Error::OutOfTurn | engine::Error::Refused(engine::Refusal::NotFound(_)) => {
                Self::Again(error.to_string())
            }
            engine::Error::Refused(_) | engine::Error::Launch(_) => Self::failed(error.to_string()),
        }
    }
}

impl From<store::Error> for Trouble {
    fn from(error: store::Error) -> Self {
        Self::Again(error.to_string())
    }
}

/// What a compile made.
pub(crate) struct Made {
    pub(crate) slug: Slug,
    pub(crate) app_layer: Fresh,
    pub(crate) cache_layer: Option<Fresh>,
    pub(crate) buildpacks: Vec<String>,
    pub(crate) detected: Vec<String>,
    pub(crate) defaults: BTreeMap<ConfigVarName, Secret>,
}

impl Builds {
    /// Runs the build's instances until one compiles or fails.
    pub(crate) async fn compile(&self, app: &App, build: &Build, output: &mut Output) -> Result<Made, Trouble> {
        let mut request = self.request(app, build).await?;
        let cache = self.usable_cache(build).await?;
        let mut mounted = self.mounted_before(app, build).await?;
        for _ in 0..ROUNDS {
            request.runtimes = mounted.iter().map(|mounted| mounted.runtime.clone()).collect();
            let ran = self.instance(self.what(build, &request, cache.as_ref(), &mounted)?, output).await?;
            tracing::debug!(build = %build.id, outcome = text::outcome(&ran.report), "a build's instance reported");
            match ran.report {
                BuildReport::NeedsRuntimes { ref runtimes } => {
                    let python = self.python(build, runtimes, output).await?;
                    mounted = self.runtimes.meet(runtimes, &mounted, python).await?;
                    self.import_runtimes(&mounted).await?;
                }
                BuildReport::Failed { language, message } => {
                    return Err(Trouble::Failed { language, reason: text::one_line(&message), told: true });
                }
                BuildReport::Compiled(ref compiled) => {
                    let compiled = compiled.clone();
                    return made(&self.blobs, build, ran, compiled, &mounted).await;
                }
            }
        }
        Err(Trouble::failed("the build asked for other runtimes again and again"))
    }

    fn what<'a>(
        &self,
        build: &Build,
        request: &'a BuildRequest,
        cache: Option<&Digest>,
        mounted: &[Mounted],
    ) -> Result<What<'a>, Trouble> {
        let source = self.blobs.get(&build.source);
        let source = source.map_err(|error| Trouble::failed(format!("the build's source is gone: {error}")))?;
        let layers = cache.into_iter().chain(mounted.iter().map(|mounted| &mounted.layer)).cloned().collect();
        Ok(What { app: build.app_id, stack: build.stack, layers, source, request, verb: Verb::Build })
    }

    async fn request(&self, app: &App, build: &Build) -> Result<BuildRequest, Trouble> {
        let set: Vec<String> = if build.buildpacks.is_empty() {
            store::buildpacks::list(&self.store, app.id).await?.into_iter().map(|entry| entry.url).collect()
        } else {
            build.buildpacks.clone()
        };
        let buildpacks = set.iter().map(|given| installation::reference(given)).collect::<Result<_, _>>();
        let vars = store::apps::config_vars(&self.store, app.id).await?;
        Ok(BuildRequest {
            // The value of `STACK` for buildpacks, which the image that provides the stack decides.
            stack: self.installed_stack(build.stack).await?.buildpacks,
            source_version: build.source_version.clone(),
            request_id: build.id.to_string(),
            config_vars: vars.into_iter().map(|(name, value)| (name.into(), value.reveal().to_owned())).collect(),
            buildpacks: buildpacks.map_err(Trouble::failed)?,
            runtimes: Vec::new(),
            sources: self.config.sources.clone(),
            strip_top_folder: build.strip_top_folder,
        })
    }

    /// What provides a stack on the host.
    pub(crate) async fn installed_stack(&self, stack: Stack) -> Result<InstalledStack, Trouble> {
        let installed = self.engine.stacks().await?;
        let named = |name: &str| installed.iter().find(|stack| stack.name == name);
        let image = named(stack.name()).or_else(|| named(stack.stand_in()?));
        let missing = || Trouble::failed(format!("there is no image of the stack {stack}; see `slipway stack list`"));
        image.cloned().ok_or_else(missing)
    }

    /// The app's build cache on this stack; one whose bytes are gone is done without.
    async fn usable_cache(&self, build: &Build) -> Result<Option<Digest>, Trouble> {
        let Some(cache) = store::layers::build_cache(&self.store, build.app_id, build.stack).await? else {
            return Ok(None);
        };
        let lost = self.import(std::slice::from_ref(&cache)).await?;
        Ok(lost.is_empty().then_some(cache))
    }

    /// The runtimes of the current release's slug, mounted at once: the runner says if they no longer fit, and a build
    /// whose runtimes stay is one instance. What was made of another image than the build's own is not among them.
    async fn mounted_before(&self, app: &App, build: &Build) -> Result<Vec<Mounted>, Trouble> {
        let slug = match store::releases::current(&self.store, app.id).await?.and_then(|release| release.slug_id) {
            Some(id) => store::slugs::get(&self.store, id).await?,
            None => None,
        };
        let layers = slug.map(|slug| slug.layers).unwrap_or_default();
        let image = self.installed_stack(build.stack).await?.image;
        let before = store::layers::runtimes_among(&self.store, &layers, &image).await?;
        let mut mounted = Vec::new();
        for (name, version, of_the_image) in before {
            let runtime = Runtime { name, version };
            let layer = self
                .runtimes
                .known(&runtime, of_the_image.then_some(&image))
                .await?
                .filter(|_| self.runtimes.is_worth_reusing(&runtime));
            mounted.extend(layer.map(|layer| Mounted { runtime, layer }));
        }
        let lost = self.import(&mounted.iter().map(|mounted| mounted.layer.clone()).collect::<Vec<_>>()).await?;
        Ok(mounted.into_iter().filter(|mounted| !lost.contains(&mounted.layer)).collect())
    }

    async fn import_runtimes(&self, mounted: &[Mounted]) -> Result<(), Trouble> {
        let lost = self.import(&mounted.iter().map(|mounted| mounted.layer.clone()).collect::<Vec<_>>()).await?;
        if lost.is_empty() {
            return Ok(());
        }
        // Left as it is, it would be in the way of every build; forgotten, the next run makes it again.
        let mut write = self.store.write().await?;
        for layer in &lost {
            store::layers::forget_runtime(&mut write, layer).await?;
        }
        write.commit().await?;
        Err(Trouble::Again("a runtime's bytes are gone from the blobs".to_owned()))
    }
}

async fn made(
    blobs: &Blobs,
    build: &Build,
    ran: Ran,
    compiled: Compiled,
    mounted: &[Mounted],
) -> Result<Made, Trouble> {
    let (packed, draft) = ran.slug?;
    let app_layer = layers::finish(blobs, &packed, draft).await?;
    let cache_layer = match ran.cache {
        Ok((packed, draft)) if compiled.cache_written => Some(layers::finish(blobs, &packed, draft).await?),
        Err(error) if compiled.cache_written => {
            tracing::warn!(%error, build = %build.id, "the build cache is not kept");
            None
        }
        _ => None,
    };
    crashpoints::reach(Point::BuildSlugWritten);
    let runtimes = mounted.iter().filter(|mounted| at_run_time(&mounted.runtime, &compiled.runtimes));
    let slug = Slug {
        id: slug_id(build),
        app_id: build.app_id,
        stack: build.stack,
        commit: build.source_version.clone(),
        commit_description: build.source_version_description.clone(),
        buildpack_provided_description: Some(text::one_line(&compiled.language)),
        process_types: process_types(&compiled)?,
        layers: runtimes.map(|mounted| mounted.layer.clone()).chain([app_layer.row.digest.clone()]).collect(),
        size: app_layer.row.blob_bytes,
        created_at: Timestamp::now(),
    };
    let defaults = compiled.config_vars.into_iter();
    Ok(Made {
        slug,
        app_layer,
        cache_layer,
        buildpacks: compiled.buildpacks,
        detected: compiled.detected,
        // A name that is none is the buildpack's mistake; Heroku drops it, too.
        defaults: defaults.filter_map(|(name, value)| Some((name.parse().ok()?, Secret::new(value)))).collect(),
    })
}

/// The slug has the build's id: a job that runs twice makes one slug.
pub(crate) fn slug_id(build: &Build) -> SlugId {
    build.id.to_string().parse().unwrap_or_default()
}

/// Whether a mounted runtime goes with the slug; npm comes along with Node, since `npm start` starts many apps. uv is
/// for builds alone, as at Heroku.
fn at_run_time(mounted: &Runtime, wanted: &[Runtime]) -> bool {
    let has = |name: &str| wanted.iter().any(|runtime| runtime.name == name);
    (has(&mounted.name) && mounted.name != "uv") || (mounted.name == "npm" && has("node"))
}

fn process_types(compiled: &Compiled) -> Result<ProcessTypes, Trouble> {
    let entry = |(name, command): (&String, &String)| match name.parse::<ProcessType>() {
        Ok(name) => Ok((name, command.clone())),
        Err(error) => Err(Trouble::failed(format!("{}: {error}", text::one_line(name)))),
    };
    Ok(ProcessTypes(compiled.process_types.iter().map(entry).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime(name: &str) -> Runtime {
        Runtime { name: name.to_owned(), version: "1.0.0".to_owned() }
    }

    #[test]
    fn a_slug_takes_the_runtimes_it_needs_and_npm_with_node() {
        assert!(at_run_time(&runtime("node"), &[runtime("node")]));
        assert!(at_run_time(&runtime("npm"), &[runtime("node")]));
        assert!(!at_run_time(&runtime("npm"), &[runtime("static")]));
        assert!(!at_run_time(&runtime("node"), &[]));
        assert!(!at_run_time(&runtime("uv"), &[runtime("python"), runtime("uv")]));
    }
}
