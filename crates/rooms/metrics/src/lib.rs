//! What dynos use: every 20 seconds the engine is asked, and the app's log is told.
//!
//! - A dyno that holds more than its size's memory gets R14 each time, until it does not any more. What is far beyond
//!   is the kernel's to end, and `rooms/dynos` says R15 then.
//! - An app with the feature `log-runtime-metrics` gets two lines of samples for each dyno.
//!
//! Nothing is stored: a restart begins the load averages anew. The numbers and words are Heroku's (Heroku Dev Center,
//! "Log Runtime Metrics", "Error Codes").

mod lines;
mod load;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use engine::{Engine, Usage};
use load::Load;
use loglines::{LogLine, LogSink, Source};
use store::Store;
use store::dynos::Dyno;
use tokio::time::{Instant, MissedTickBehavior};
use vocabulary::{AppFeature, AppId, DynoId};

/// How often, and for how long.
#[derive(Debug, Clone)]
pub struct Config {
    /// How often dynos are looked at. 20 seconds, as Heroku.
    pub interval: Duration,
    /// How long the engine may take to answer. 10 seconds.
    pub patience: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { interval: Duration::from_secs(20), patience: Duration::from_secs(10) }
    }
}

/// The room over its parts.
#[derive(Debug)]
pub struct Metrics {
    store: Store,
    engine: Engine,
    logs: LogSink,
    config: Config,
    loads: HashMap<DynoId, Load>,
}

impl Metrics {
    /// Nothing is measured before [`Metrics::run`].
    #[must_use]
    pub fn new(store: Store, engine: Engine, logs: LogSink, config: Config) -> Self {
        Self { store, engine, logs, config, loads: HashMap::new() }
    }

    /// Measures for ever. What fails is left out this time.
    pub async fn run(mut self) {
        let mut ticks = tokio::time::interval(self.config.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let usage = match tokio::time::timeout(self.config.patience, self.engine.usage()).await {
                Ok(Ok(usage)) => usage,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the engine did not say what dynos use");
                    continue;
                }
                Err(_) => {
                    tracing::warn!("the engine takes long to say what dynos use");
                    continue;
                }
            };
            if let Err(error) = self.tell(&usage).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "could not look up the dynos that were measured"
                );
            }
        }
    }

    async fn tell(&mut self, usage: &[Usage]) -> Result<(), store::Error> {
        let dynos: HashMap<DynoId, Dyno> =
            store::dynos::all(&self.store).await?.into_iter().map(|dyno| (dyno.id, dyno)).collect();
        let sampled = store::app_features::unlike_default(&self.store, AppFeature::LogRuntimeMetrics).await?;
        let sampled: HashSet<AppId> = sampled.into_iter().collect();
        let now = Instant::now();
        for one in usage {
            // Builds, release phases, and dynos whose row went meanwhile have no quota that could be told.
            let Some(dyno) = dynos.get(&one.id) else { continue };
            let load = {
                let load = self.loads.entry(one.id).or_insert_with(|| Load::new(now));
                load.add(one.runnable, now);
                *load
            };
            if sampled.contains(&dyno.app_id) {
                self.say(dyno, lines::load(dyno, &load));
                self.say(dyno, lines::memory(dyno, &one.memory));
            }
            for line in lines::quota_exceeded(dyno.size, &one.memory) {
                self.say(dyno, line);
            }
        }
        let measured: HashSet<DynoId> = usage.iter().map(|one| one.id).collect();
        self.loads.retain(|id, _| measured.contains(id));
        Ok(())
    }

    fn say(&self, dyno: &Dyno, text: String) {
        self.logs.send(LogLine::now(dyno.app_id, Source::Heroku, dyno.name.to_string(), text));
    }
}
