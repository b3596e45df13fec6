//! A one-off dyno's row against its instance: it starts once, and goes when it ends.

use std::time::Duration;

use engine::InstanceState;
use store::dynos::{Dyno, OneOff};
use vocabulary::DynoState;

use super::{Plan, Step, Why, World};

/// The step that brings the row in line with its instance, if there is one.
pub(super) fn plan(world: &World<'_>, dyno: &Dyno, one_off: &OneOff, plan: &mut Plan) {
    if let Some(until) = world.memory.resting.get(&dyno.id).filter(|until| **until > world.now) {
        plan.at(*until);
    }
    if !world.is_free(dyno.id) {
        return;
    }
    let instance = world.observed.get(dyno.id).map(|instance| instance.state);
    let step = match (dyno.state, instance) {
        (DynoState::Starting, None) if !dyno.restart_asked => Step::Start(dyno.clone()),
        // Also one that has ended already: it was up before that.
        (DynoState::Starting, Some(_)) => Step::Ready(dyno.clone(), None),
        // Never started, lost with the machine, or not to be started: nothing begins it again.
        (_, None) => Step::Forget(dyno.id),
        (_, Some(InstanceState::Exited(exit))) => Step::Finish(dyno.clone(), exit),
        (DynoState::Up, Some(InstanceState::Running { .. })) => return runs(world, dyno, one_off, plan),
        (DynoState::Down | DynoState::Crashed, Some(InstanceState::Running { .. })) => {
            if world.memory.terminated.contains_key(&dyno.id) {
                return;
            }
            Step::Stop(dyno.clone(), Why::Again)
        }
    };
    plan.steps.push(step);
}

fn runs(world: &World<'_>, dyno: &Dyno, one_off: &OneOff, plan: &mut Plan) {
    let age =
        Duration::from_micros(world.today.micros().saturating_sub(dyno.created_at.micros()).max(0).cast_unsigned());
    match one_off.time_to_live.checked_sub(age) {
        _ if dyno.restart_asked => plan.steps.push(Step::Stop(dyno.clone(), Why::NotWanted)),
        None | Some(Duration::ZERO) => plan.steps.push(Step::Stop(dyno.clone(), Why::Expired)),
        Some(left) => plan.at(world.now + left),
    }
}
