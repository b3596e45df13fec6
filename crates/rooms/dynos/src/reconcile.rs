//! The reconciler: woken or by timer, it reads, observes, plans and applies.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::Event;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::task::JoinSet;
use tokio::time::Instant;
use vocabulary::{AppId, DynoId, Timestamp};

use crate::apply::{Done, Outcome};
use crate::observe::Observed;
use crate::plan::{AppView, Memory, Plan, Step, World, plan};
use crate::read::Slugs;
use crate::{Dynos, lines, read};

/// How long the engine may take for a list before this pass does without.
const LIST: Duration = Duration::from_secs(2);

/// How long the engine may take with a SIGKILL before it is asked again.
const KILL: Duration = Duration::from_secs(10);

/// The reconciler's own state, all of it replaceable.
struct Reconciler {
    dynos: Dynos,
    /// Nothing until the engine has said what runs: to plan before that would start everything twice.
    observed: Option<Observed>,
    listed_at: Instant,
    memory: Memory,
    slugs: Slugs,
    running: JoinSet<Done>,
}

impl Dynos {
    /// The reconciler; runs for ever.
    pub async fn run(self) {
        let events = self.engine.events();
        let reconciler = Reconciler {
            dynos: self,
            observed: None,
            listed_at: Instant::now(),
            memory: Memory::default(),
            slugs: Slugs::default(),
            running: JoinSet::new(),
        };
        reconciler.run(events).await;
    }
}

impl Reconciler {
    async fn run(mut self, mut events: Receiver<Event>) {
        let mut pause = Duration::ZERO;
        loop {
            let waker = self.dynos.wakers.dynos.clone();
            tokio::select! {
                () = waker.woken_or(pause) => {}
                event = events.recv() => match event {
                    Ok(event) => self.note(&event),
                    Err(RecvError::Lagged(_)) => self.observed = None,
                    // The engine's handle lives in `self`, so that its channel cannot close before.
                    Err(RecvError::Closed) => return,
                },
                Some(done) = self.running.join_next() => self.done(done),
            }
            self.catch_up(&mut events);
            pause = self.pass().await;
        }
    }

    /// Takes in everything that has already happened, so that a pass sees it at once.
    fn catch_up(&mut self, events: &mut Receiver<Event>) {
        while let Some(done) = self.running.try_join_next() {
            self.done(done);
        }
        loop {
            match events.try_recv() {
                Ok(event) => self.note(&event),
                Err(TryRecvError::Lagged(_)) => self.observed = None,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Connected => {
                self.observed = None;
                // An engine that is new has forgotten its time limits: whoever is to stop is told again.
                self.memory.terminated.clear();
            }
            Event::LoopbackOnly { id } => self.say_of(*id, lines::LOOPBACK_ONLY),
            Event::Unattached { id, came: false } => self.say_of(*id, lines::ATTACH_ERROR),
            Event::Unattached { id, came: true } => self.say_of(*id, lines::CLIENT_CLOSED),
            _ => {}
        }
        if let Some(observed) = &mut self.observed {
            observed.note(event);
        }
    }

    fn say_of(&self, id: DynoId, text: &str) {
        let instance = self.observed.as_ref().and_then(|observed| observed.get(id));
        if let Some(instance) = instance.filter(|instance| instance.is_ours()) {
            let source = loglines::Source::Heroku;
            self.dynos.logs.send(loglines::LogLine::now(instance.app, source, &*instance.name, text));
        }
    }

    /// Does what there is to do now; answers how long to wait for something to happen.
    async fn pass(&mut self) -> Duration {
        let timer = self.dynos.config.timer;
        self.dynos.meetings.forget_old();
        if self.observed.is_none() || self.listed_at.elapsed() >= timer {
            self.look().await;
        }
        loop {
            match self.plan_and_begin().await {
                Ok((true, _)) => {}
                Ok((false, next)) => return next.map_or(timer, |next| next.duration_since(Instant::now()).min(timer)),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "could not look after the dynos");
                    return self.dynos.config.retry;
                }
            }
        }
    }

    async fn look(&mut self) {
        self.listed_at = Instant::now();
        match tokio::time::timeout(LIST, self.dynos.engine.list()).await {
            Ok(Ok(list)) => self.observed = Some(Observed::of(list)),
            Ok(Err(error)) => tracing::warn!(%error, "the engine did not say what runs"),
            Err(_) => tracing::warn!("the engine takes long to say what runs"),
        }
    }

    /// One plan. Answers whether rows changed, so that another is due at once, and when the next is.
    async fn plan_and_begin(&mut self) -> Result<(bool, Option<Instant>), store::Error> {
        let apps = read::apps(&self.dynos.store, &mut self.slugs).await?;
        let now = Instant::now();
        let config = &self.dynos.config;
        // The engine did not answer: nothing can be planned, and the next look must not wait for the timer.
        let Some(observed) = &self.observed else { return Ok((false, Some(now + config.retry))) };
        remember(&mut self.memory, &apps, observed, config.grace + KILL, now);
        let Plan { steps, next } = {
            let today = Timestamp::now();
            plan(&World { apps: &apps, observed, memory: &self.memory, config, now, today })
        };
        let (records, others): (Vec<Step>, Vec<Step>) =
            steps.into_iter().partition(|step| matches!(step, Step::Create(_) | Step::Forget(_)));
        for step in others {
            self.begin(step, now);
        }
        let changed = !records.is_empty();
        if changed {
            let seen = apps.values().flat_map(|app| app.dynos.iter().map(|dyno| dyno.id)).collect();
            self.dynos.record(records, &seen, &mut self.memory.crashes).await?;
        }
        Ok((changed, next))
    }

    fn begin(&mut self, step: Step, now: Instant) {
        let id = step.dyno();
        if let Step::Crash(dyno, Some(_)) = &step {
            self.dynos.count(dyno, &mut self.memory, now);
        }
        let timed_out = self.memory.terminated.get(&id).is_some_and(|at| at.elapsed() >= self.dynos.config.grace);
        self.memory.under_way.insert(id);
        let dynos = self.dynos.clone();
        self.running.spawn(async move { Done { id, outcome: dynos.apply(step, timed_out).await } });
    }

    fn done(&mut self, done: Result<Done, tokio::task::JoinError>) {
        let Done { id, outcome } = match done {
            Ok(done) => done,
            Err(error) => {
                // Which dyno it was is lost with it; a second look at all of them is safe, since steps repeat.
                tracing::error!(%error, "a step panicked");
                self.memory.under_way.clear();
                return;
            }
        };
        self.memory.under_way.remove(&id);
        match outcome {
            Outcome::Recorded => {}
            Outcome::Started(app, name) => {
                self.memory.running_since.insert(id, Instant::now());
                if let Some(observed) = &mut self.observed {
                    observed.started(id, engine::Kind::Dyno, app, &name);
                }
            }
            Outcome::StartFailed(dyno) => self.dynos.count(&dyno, &mut self.memory, Instant::now()),
            Outcome::Terminated(at) => {
                self.memory.terminated.insert(id, at);
            }
            Outcome::Removed => {
                if let Some(observed) = &mut self.observed {
                    observed.removed(id);
                }
            }
            Outcome::Rest => {
                self.memory.resting.insert(id, Instant::now() + self.dynos.config.retry);
            }
        }
    }
}

/// Notes when what is seen was seen first, and forgets what is gone. What still runs `limit` after it was told to stop
/// is told again.
fn remember(memory: &mut Memory, apps: &BTreeMap<AppId, AppView>, observed: &Observed, limit: Duration, now: Instant) {
    for (id, instance) in observed.all() {
        let since = if instance.exit().is_some() { &mut memory.ended_since } else { &mut memory.running_since };
        since.entry(id).or_insert(now);
    }
    let known = |id: &DynoId| observed.get(*id).is_some();
    memory.running_since.retain(|id, _| known(id));
    memory.ended_since.retain(|id, _| known(id));
    let runs = |id: &DynoId| observed.get(*id).is_some_and(|instance| instance.exit().is_none());
    memory.terminated.retain(|id, at| known(id) && !(runs(id) && now.duration_since(*at) > limit));
    memory.resting.retain(|_, until| *until > now);
    memory.crashes.keep(|app| apps.contains_key(&app));
}
