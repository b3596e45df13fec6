//! One dyno's row against its instance.

use engine::InstanceState;
use store::dynos::Dyno;
use vocabulary::{DynoId, DynoState};

use super::{Plan, Step, Why, World};

/// The step that brings the row in line with its instance, if there is one.
pub(super) fn plan(world: &World<'_>, dyno: &Dyno, plan: &mut Plan) {
    if let Some(until) = world.memory.resting.get(&dyno.id).filter(|until| **until > world.now) {
        plan.at(*until);
    }
    if !world.is_free(dyno.id) {
        return;
    }
    let instance = world.observed.get(dyno.id).map(|instance| instance.state);
    let step = match (dyno.state, instance) {
        (DynoState::Starting, None) => Step::Start(dyno.clone()),
        (DynoState::Starting, Some(InstanceState::Running { listening })) => {
            return boots(world, dyno, listening, plan);
        }
        (DynoState::Starting | DynoState::Up, Some(InstanceState::Exited(exit))) => {
            Step::Crash(dyno.clone(), Some(exit))
        }
        (DynoState::Up, None) => Step::Crash(dyno.clone(), None),
        (DynoState::Up, Some(InstanceState::Running { .. })) | (DynoState::Crashed, None) => return,
        (DynoState::Crashed, Some(InstanceState::Exited(_))) => return remove_after_linger(world, dyno.id, plan),
        (DynoState::Crashed, Some(InstanceState::Running { .. })) => {
            if world.memory.terminated.contains_key(&dyno.id) {
                return;
            }
            Step::StopOrphan(dyno.id)
        }
        (DynoState::Down, Some(InstanceState::Running { .. })) => {
            if world.memory.terminated.contains_key(&dyno.id) {
                return;
            }
            Step::Stop(dyno.clone(), Why::Again)
        }
        (DynoState::Down, Some(InstanceState::Exited(exit))) => Step::Finish(dyno.clone(), exit),
        (DynoState::Down, None) => Step::Forget(dyno.id),
    };
    plan.steps.push(step);
}

/// A web dyno is up once it listens, any other once it runs.
fn boots(world: &World<'_>, dyno: &Dyno, listening: Option<std::net::SocketAddrV4>, plan: &mut Plan) {
    if !dyno.name.process_type().is_web() {
        plan.steps.push(Step::Ready(dyno.clone(), None));
        return;
    }
    if world.memory.terminated.contains_key(&dyno.id) {
        return;
    }
    if listening.is_some() {
        plan.steps.push(Step::Ready(dyno.clone(), listening));
        return;
    }
    let since = world.memory.running_since.get(&dyno.id).copied().unwrap_or(world.now);
    let deadline = since + world.config.boot_timeout;
    if world.now >= deadline {
        plan.steps.push(Step::BootTimeout(dyno.clone()));
    } else {
        plan.at(deadline);
    }
}

/// An ended instance is kept a moment, so that whoever reads its output finds it.
pub(super) fn remove_after_linger(world: &World<'_>, id: DynoId, plan: &mut Plan) {
    let since = world.memory.ended_since.get(&id).copied().unwrap_or(world.now);
    let due = since + world.config.linger;
    if world.now >= due {
        plan.steps.push(Step::Remove(id));
    } else {
        plan.at(due);
    }
}
