//! One Build instance: started, followed to its end, and removed however it ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;

use blobs::{Draft, Output};
use crashpoints::Point;
use engine::{Engine, Event, Exit, Image, InstanceSpec, InstanceState, Kind, Limits, Packed, Variant};
use inside_contract::{
    BuildReport, BuildRequest, CACHE, CACHE_FD, Launch, PROGRAMS, Program, REPORT_FD, REQUEST_FD, SLUG_FD,
};
use loglines::ring;
use tokio::sync::broadcast::{self, error::RecvError};
use vocabulary::{AppId, Digest, DynoId};

use crate::compile::Trouble;
use crate::{Builds, Config, pipes, text};

/// The largest report (`inside_contract::BuildReport`).
const REPORT_LIMIT: u64 = 1024 * 1024;
/// What a program finds on its way, as everywhere on the stack.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What to start.
pub(crate) struct What<'a> {
    pub(crate) app: AppId,
    pub(crate) stack: vocabulary::Stack,
    pub(crate) layers: Vec<Digest>,
    pub(crate) source: File,
    pub(crate) request: &'a BuildRequest,
}

/// How it ended: what it reported, and the trees it wrote as far as they could be packed.
pub(crate) struct Ran {
    pub(crate) report: BuildReport,
    pub(crate) slug: Result<(Packed, Draft), engine::Error>,
    pub(crate) cache: Result<(Packed, Draft), engine::Error>,
}

/// The outside's ends of an instance's pipes.
struct Ends {
    report: OwnedFd,
    slug: OwnedFd,
    cache: OwnedFd,
}

impl Builds {
    /// Runs one instance to its end. The caller bounds the time; [`Builds::clear`] removes what a cut-off run leaves.
    pub(crate) async fn instance(&self, what: What<'_>, output: &mut Output) -> Result<Ran, Trouble> {
        let id = DynoId::new();
        let (ends, fds) = descriptors(&what)?;
        let spec = spec(id, &what, &self.config);
        // Before the start, so that no end is missed.
        let events = self.engine.events();
        let launch = launch(what.request);
        self.engine.start(spec, &launch, fds).await?;
        tracing::debug!(target: "timing", step = "build instance runs");
        crashpoints::reach(Point::BuildStarted);
        let (exit, slug, cache, report, ()) = tokio::join!(
            timed("build instance ended", exited(&self.engine, events, id)),
            timed("slug packed", self.pack(inside_contract::APP, self.config.slug_limit_bytes, ends.slug)),
            timed("cache packed", self.pack(CACHE, self.config.cache_limit_bytes, ends.cache)),
            timed("runner reported", pipes::read_all(ends.report, REPORT_LIMIT)),
            timed("output copied", follow(&self.engine, id, output)),
        );
        self.engine.remove(id).await?;
        crashpoints::reach(Point::BuildCompiled);
        let exit = exit?;
        if let Err(engine::Error::Refused(engine::Refusal::TooLarge { limit_bytes })) = &slug {
            return Err(Trouble::failed(text::too_large(*limit_bytes)));
        }
        let report: Option<BuildReport> = report.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let report = report.ok_or_else(|| Trouble::failed(text::died(exit, self.config.memory_bytes)))?;
        tracing::debug!(instance = %id, outcome = text::outcome(&report), "a build instance ended");
        Ok(Ran { report, slug, cache })
    }

    async fn pack(&self, prefix: &str, limit: u64, tar: OwnedFd) -> Result<(Packed, Draft), engine::Error> {
        let draft = self.blobs.draft().map_err(engine::Error::Launch)?;
        let blob = draft.file().try_clone().map_err(engine::Error::Launch)?;
        let packed = self.engine.pack(prefix, limit, tar, blob.into()).await?;
        Ok((packed, draft))
    }

    /// Ends and removes Build instances of an app; its lane runs one build at a time, so all are left-overs.
    pub(crate) async fn clear(&self, app: AppId) -> Result<(), engine::Error> {
        for instance in self.engine.list().await? {
            if instance.spec.kind == Kind::Build && instance.spec.app == app {
                self.engine.remove(instance.spec.id).await?;
            }
        }
        Ok(())
    }
}

/// Says when one of the things a build waits for is there.
async fn timed<T>(step: &'static str, waited: impl Future<Output = T>) -> T {
    let done = waited.await;
    tracing::debug!(target: "timing", step);
    done
}

fn descriptors(what: &What<'_>) -> Result<(Ends, Vec<OwnedFd>), Trouble> {
    let request = serde_json::to_vec(what.request).map_err(|error| Trouble::failed(error.to_string()))?;
    let make = || -> std::io::Result<_> {
        let (report, report_in) = pipes::pipe()?;
        let (slug, slug_in) = pipes::pipe()?;
        let (cache, cache_in) = pipes::pipe()?;
        let source = what.source.try_clone()?.into();
        let fds = vec![source, report_in, wire::seal(&request)?, slug_in, cache_in];
        Ok((Ends { report, slug, cache }, fds))
    };
    make().map_err(|error| Trouble::Again(format!("could not make the pipes of a build: {error}")))
}

fn spec(id: DynoId, what: &What<'_>, config: &Config) -> InstanceSpec {
    InstanceSpec {
        id,
        kind: Kind::Build,
        app: what.app,
        name: "build".to_owned(),
        image: Image { stack: what.stack.image().to_owned(), variant: Variant::Build, layers: what.layers.clone() },
        port: None,
        limits: Limits {
            memory_bytes: config.memory_bytes,
            cpu_weight: 1,
            processes: config.processes,
            disk_bytes: config.disk_bytes,
        },
        fds: vec![0, REPORT_FD, REQUEST_FD, SLUG_FD, CACHE_FD],
        stdio: engine::Stdio::Logged,
    }
}

/// The runner's launch. Config vars are no part of it: buildpacks read them from `ENV_DIR` (promise B1).
fn launch(request: &BuildRequest) -> Launch {
    let env = [("PATH", PATH), ("HOME", inside_contract::APP), ("LANG", "C.UTF-8"), ("STACK", &request.stack)];
    Launch {
        program: Program::Exec { argv: vec![format!("{PROGRAMS}/buildpacks"), "build".to_owned()] },
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect::<BTreeMap<_, _>>(),
    }
}

/// Copies an instance's output to the build's, line by line, until it ends.
async fn follow(engine: &Engine, id: DynoId, output: &mut Output) {
    if let Err(error) = copy_lines(engine, id, output).await {
        tracing::warn!(%error, instance = %id, "could not follow a build's output to its end");
        output.append(b" !     The rest of this output was lost.\n");
    }
}

async fn copy_lines(engine: &Engine, id: DynoId, output: &mut Output) -> std::io::Result<()> {
    let fd = engine.output(id).await.map_err(std::io::Error::other)?;
    let mut reader = ring::Reader::new(fd, 0)?;
    loop {
        let batch = reader.next().await?;
        if batch.dropped > 0 {
            output.append(format!(" !     {} lines of output were dropped here\n", batch.dropped).as_bytes());
        }
        let mut lines = Vec::new();
        for record in &batch.records {
            lines.extend_from_slice(&record.text);
            lines.push(b'\n');
        }
        if !lines.is_empty() {
            output.append(&lines);
        }
        if batch.ended {
            return Ok(());
        }
    }
}

/// Waits for an instance's end.
async fn exited(engine: &Engine, mut events: broadcast::Receiver<Event>, id: DynoId) -> Result<Exit, Trouble> {
    loop {
        match events.recv().await {
            Ok(Event::Exited { id: ended, exit }) if ended == id => return Ok(exit),
            Ok(Event::Connected) | Err(RecvError::Lagged(_)) => {
                if let Some(exit) = look(engine, id).await? {
                    return Ok(exit);
                }
            }
            Ok(_) => {}
            Err(RecvError::Closed) => return Err(Trouble::Again("the engine's connection was closed".to_owned())),
        }
    }
}

/// The instance's end, if it has ended; an instance the engine does not know is trouble.
async fn look(engine: &Engine, id: DynoId) -> Result<Option<Exit>, Trouble> {
    let instance = engine.list().await?.into_iter().find(|instance| instance.spec.id == id);
    match instance.map(|instance| instance.state) {
        Some(InstanceState::Exited(exit)) => Ok(Some(exit)),
        Some(InstanceState::Running { .. }) => Ok(None),
        None => Err(Trouble::Again("the engine lost the build's instance".to_owned())),
    }
}
