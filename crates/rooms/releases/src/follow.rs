//! Following a release phase: its lines into the log and the release's output, until it ends.

use std::time::Duration;

use blobs::Output;
use engine::{Engine, Event, Exit, InstanceState};
use loglines::ring::Reader;
use loglines::{LogLine, Source};
use store::releases::Release;
use vocabulary::DynoId;

use crate::Releases;

/// How often the engine is asked without having said anything.
const TIMER: Duration = Duration::from_secs(5);
/// How long lines may still arrive after the end.
const LAST_LINES: Duration = Duration::from_secs(2);
/// How often the engine is asked the same while it goes away and comes back.
const ATTEMPTS: usize = 20;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(100);

/// How it ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Its process ended.
    Exited(Exit),
    /// It was ended for taking too long.
    TimedOut,
    /// It was ended because its app was deleted.
    Deleted,
    /// Its instance is gone: nobody can say.
    Gone,
}

/// Why it could not be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("could not ask the engine")]
    Engine(#[from] engine::Error),
    #[error("could not keep the output of a release phase")]
    Output(#[from] std::io::Error),
}

impl Releases {
    /// Follows an instance to its end. `resumed`: an earlier process began to; the lines it kept are not kept twice.
    pub(crate) async fn follow(&self, release: &Release, id: DynoId, name: &str, resumed: bool) -> Result<End, Error> {
        let kept = if resumed { self.kept(release).await } else { 0 };
        let mut output = self.outputs.write(&release.id.to_string())?;
        let copy = self.copy(release, id, name, kept, &mut output);
        let exit = exit(&self.engine, id);
        tokio::pin!(copy, exit);
        let both = async {
            tokio::select! {
                () = &mut copy => exit.await,
                end = &mut exit => {
                    // Lines that have not come by then are lost, not waited for.
                    drop(tokio::time::timeout(LAST_LINES, &mut copy).await);
                    end
                }
            }
        };
        let cut = tokio::select! {
            end = both => return Ok(end?),
            () = tokio::time::sleep(self.config.phase_limit) => End::TimedOut,
            () = self.deleted(release) => End::Deleted,
        };
        patiently(|| self.engine.stop(id, self.config.grace)).await?;
        // The engine kills it after the grace time; what matters is that it has ended before the release does.
        drop(tokio::time::timeout(self.config.grace + TIMER, self::exit(&self.engine, id)).await);
        Ok(cut)
    }

    /// Waits until the release is deleted, as it is with its app.
    async fn deleted(&self, release: &Release) {
        let mut changes = self.wakers.changes.watch();
        while !matches!(store::releases::get(&self.store, release.id).await, Ok(None)) {
            // Whether a change or the timer ended the wait, the store is looked at.
            drop(tokio::time::timeout(TIMER, changes.changed()).await);
        }
    }

    /// How many lines an earlier process kept.
    async fn kept(&self, release: &Release) -> u64 {
        let Ok(mut reader) = self.outputs.read(&release.id.to_string()) else { return 0 };
        let mut lines = 0;
        while let Ok(Some(piece)) = reader.next().await {
            lines += piece.split(|byte| *byte == b'\n').skip(1).count() as u64;
        }
        lines
    }

    /// Copies lines until there are no more. A ring that cannot be read costs the lines, not the release.
    async fn copy(&self, release: &Release, id: DynoId, name: &str, kept: u64, output: &mut Output) {
        let ring = match patiently(|| self.engine.output(id)).await {
            Ok(ring) => ring,
            Err(error) => return tracing::error!(%error, release.id = %release.id, "a release phase has no output"),
        };
        let mut reader = match Reader::new(ring, kept) {
            Ok(reader) => reader,
            Err(error) => {
                return tracing::error!(%error, release.id = %release.id, "could not read a release phase's output");
            }
        };
        loop {
            let batch = match reader.next().await {
                Ok(batch) => batch,
                Err(error) => {
                    return tracing::error!(%error, release.id = %release.id, "could not read a release phase's output");
                }
            };
            self.logs.count_dropped(batch.dropped);
            for record in batch.records {
                let text = String::from_utf8_lossy(&record.text).into_owned();
                output.append(format!("{text}\n").as_bytes());
                let (app, time, dyno) = (release.app_id, record.time, name.to_owned());
                self.logs.send(LogLine { app, time, source: Source::App, dyno, text });
            }
            if batch.ended {
                return;
            }
        }
    }
}

/// Asks the engine again while it goes away and comes back: its restart must not cost a release phase one of its
/// starts.
pub(crate) async fn patiently<T, R>(ask: impl Fn() -> R) -> Result<T, engine::Error>
where
    R: Future<Output = Result<T, engine::Error>>,
{
    for _ in 1..ATTEMPTS {
        match ask().await {
            Err(engine::Error::Away) => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
    }
    ask().await
}

/// Waits for an instance's end.
async fn exit(engine: &Engine, id: DynoId) -> Result<End, engine::Error> {
    let mut events = engine.events();
    loop {
        let list = patiently(|| engine.list()).await?;
        match list.into_iter().find(|instance| instance.spec.id == id).map(|instance| instance.state) {
            None => return Ok(End::Gone),
            Some(InstanceState::Exited(exit)) => return Ok(End::Exited(exit)),
            Some(InstanceState::Running { .. }) => {}
        }
        let look_again = async {
            loop {
                match events.recv().await {
                    Ok(Event::Exited { id: ended, .. }) if ended == id => return,
                    Ok(Event::Connected) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        };
        // Whether an event or the timer ended the wait, the list is looked at.
        drop(tokio::time::timeout(TIMER, look_again).await);
    }
}
