//! From what should be and what is, to the steps between. Pure: no I/O, no clock, no randomness.
//!
//! Two questions are asked, one after the other:
//!
//! - [`life`], and [`one_off`] for a one-off dyno: a dyno's row against its instance. Does it listen, has it ended, is
//!   it to be told to stop?
//! - [`formation`]: an app's rows against its formation and its current release. Which are missing, too many, stale?
//!
//! A dyno with a step under way is left alone until that ended; a step that changed a row is followed by another pass.

mod formation;
mod life;
mod one_off;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddrV4;

use engine::Exit;
use store::dynos::Dyno;
use tokio::time::Instant;
use vocabulary::{AppId, DynoId, DynoName, DynoSize, ProcessType, ProcessTypes, ReleaseId, Timestamp};

use crate::Config;
use crate::backoff::Crashes;
use crate::observe::Observed;

/// Everything a plan is made of.
#[derive(Debug)]
pub(crate) struct World<'a> {
    pub(crate) apps: &'a BTreeMap<AppId, AppView>,
    pub(crate) observed: &'a Observed,
    pub(crate) memory: &'a Memory,
    pub(crate) config: &'a Config,
    pub(crate) now: Instant,
    /// The same moment by the clock that rows are dated with.
    pub(crate) today: Timestamp,
}

/// An app as the store has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct AppView {
    /// The current release.
    pub(crate) current: Option<Current>,
    /// Whether a new web dyno may start only when the old one has stopped: `preboot` is off.
    pub(crate) stops_first: bool,
    /// The formation.
    pub(crate) wanted: Vec<Wanted>,
    /// Its dynos, oldest run first.
    pub(crate) dynos: Vec<Dyno>,
}

/// A current release.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub(crate) release: ReleaseId,
    pub(crate) process_types: ProcessTypes,
}

/// One process type's share of the formation.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) process_type: ProcessType,
    pub(crate) quantity: u32,
    pub(crate) size: DynoSize,
}

/// What this process remembers between passes. Losing it costs a repeated step or an early restart, nothing else.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    pub(crate) crashes: Crashes,
    /// When an instance was first seen running.
    pub(crate) running_since: HashMap<DynoId, Instant>,
    /// When an instance was first seen ended.
    pub(crate) ended_since: HashMap<DynoId, Instant>,
    /// When the engine was told to stop an instance; forgotten when the engine's connection is new.
    pub(crate) terminated: HashMap<DynoId, Instant>,
    /// Until when a dyno whose step failed is left alone.
    pub(crate) resting: HashMap<DynoId, Instant>,
    /// Dynos with a step under way.
    pub(crate) under_way: HashSet<DynoId>,
}

/// Why a dyno is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The formation has no place for it any more.
    NotWanted,
    /// Another of its name replaces it, and is up already unless its type stops first.
    Replaced,
    /// Another of its name replaces it, and would have started first if there were memory for both.
    MakesRoom,
    /// The time of a one-off dyno is over.
    Expired,
    /// It was asked to stop before; nobody knows how far that came.
    Again,
}

/// One step. Each may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Record a new dyno, in place of a crashed one if that is given.
    Create(New),
    /// Delete the row of a dyno that has no running instance.
    Forget(DynoId),
    /// Start the instance of a recorded dyno.
    Start(Dyno),
    /// Record that it is up.
    Ready(Dyno, Option<SocketAddrV4>),
    /// R10: kill it.
    BootTimeout(Dyno),
    /// Record that it ended by itself; without an exit, its instance is gone.
    Crash(Dyno, Option<Exit>),
    /// Take it out of the routes, then SIGTERM.
    Stop(Dyno, Why),
    /// It ended as asked: say so and forget it.
    Finish(Dyno, Exit),
    /// An instance without a row: SIGTERM.
    StopOrphan(DynoId),
    /// Free an ended instance that is needed no more.
    Remove(DynoId),
}

/// A dyno to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct New {
    pub(crate) app: AppId,
    pub(crate) name: DynoName,
    pub(crate) release: ReleaseId,
    pub(crate) size: DynoSize,
    pub(crate) command: String,
    /// The crashed run it follows; its row goes in the same write.
    pub(crate) follows: Option<DynoId>,
    /// Whether a user asked for it; then a row of crashes ends.
    pub(crate) asked: bool,
}

/// Steps that can begin now, and when to plan anew even if nothing happens.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) next: Option<Instant>,
}

/// Makes the plan.
pub(crate) fn plan(world: &World<'_>) -> Plan {
    let mut plan = Plan::default();
    for (id, app) in world.apps {
        let mut settled = HashSet::new();
        for dyno in &app.dynos {
            let begun = plan.steps.len();
            match &dyno.one_off {
                None => life::plan(world, dyno, &mut plan),
                Some(one_off) => one_off::plan(world, dyno, one_off, &mut plan),
            }
            if plan.steps.len() == begun && world.is_free(dyno.id) {
                settled.insert(dyno.id);
            }
        }
        formation::plan(world, *id, app, &settled, &mut plan);
    }
    orphans(world, &mut plan);
    plan
}

/// Instances without a row: of a deleted app, or a run whose row went while its end was still to be read.
fn orphans(world: &World<'_>, plan: &mut Plan) {
    let rows: HashSet<DynoId> = world.apps.values().flat_map(|app| app.dynos.iter().map(|dyno| dyno.id)).collect();
    for (id, instance) in world.observed.all() {
        if rows.contains(&id) || !instance.is_ours() || !world.is_free(id) {
            continue;
        }
        if instance.exit().is_some() {
            life::remove_after_linger(world, id, plan);
        } else if !world.memory.terminated.contains_key(&id) {
            plan.steps.push(Step::StopOrphan(id));
        }
    }
}

impl World<'_> {
    /// Whether a step for this dyno may begin.
    fn is_free(&self, id: DynoId) -> bool {
        let rests = self.memory.resting.get(&id).is_some_and(|until| *until > self.now);
        !rests && !self.memory.under_way.contains(&id)
    }
}

impl Plan {
    /// Plans anew at `moment` at the latest.
    fn at(&mut self, moment: Instant) {
        self.next = Some(self.next.map_or(moment, |next| next.min(moment)));
    }
}
