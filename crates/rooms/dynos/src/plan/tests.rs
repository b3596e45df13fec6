//! One case per line of the rules.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use engine::{Exit, InstanceState, Kind};
use store::dynos::{Dyno, OneOff};
use tokio::time::Instant;
use vocabulary::{AppId, DynoId, DynoSize, DynoState, ProcessTypes, ReleaseId, Timestamp};

use super::{AppView, Current, Memory, Step, Wanted, World, plan};
use crate::Config;
use crate::backoff::Crash;
use crate::observe::Observed;

const CRASH: Exit = Exit { status: 1, out_of_memory: false };

/// An app with a formation, and what runs of it.
struct Case {
    app: AppId,
    view: AppView,
    observed: Observed,
    memory: Memory,
    config: Config,
    now: Instant,
    old: ReleaseId,
    new: ReleaseId,
}

/// What the engine has of a dyno.
enum Has {
    Nothing,
    Running,
    Listening,
    Exited,
}

impl Case {
    /// An app whose slug has the types `web` and `worker`, with this formation.
    fn new(wanted: &[(&str, u32)]) -> Self {
        let (old, new) = (ReleaseId::new(), ReleaseId::new());
        let types = ["web", "worker"].map(|name| (name.parse().unwrap(), format!("run {name}")));
        let wanted = wanted.iter().map(|(name, quantity)| Wanted {
            process_type: name.parse().unwrap(),
            quantity: *quantity,
            size: DynoSize::Standard1X,
        });
        let view = AppView {
            current: Some(Current { release: new, process_types: ProcessTypes(types.into()) }),
            stops_first: false,
            wanted: wanted.collect(),
            dynos: vec![],
        };
        let (observed, memory, config) = (Observed::default(), Memory::default(), Config::default());
        Self { app: AppId::new(), view, observed, memory, config, now: Instant::now(), old, new }
    }

    /// Adds a dyno with its instance.
    fn dyno(&mut self, name: &str, release: ReleaseId, state: DynoState, has: &Has) -> DynoId {
        let id = DynoId::new();
        self.view.dynos.push(Dyno {
            id,
            app_id: self.app,
            name: name.parse().unwrap(),
            release_id: release,
            size: DynoSize::Standard1X,
            command: "run".to_owned(),
            state,
            address: None,
            restart_asked: false,
            one_off: None,
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        });
        self.instance(id, name, has);
        id
    }

    fn instance(&mut self, id: DynoId, name: &str, has: &Has) {
        if matches!(has, Has::Nothing) {
            return;
        }
        self.observed.started(id, Kind::Dyno, self.app, name);
        let address: SocketAddrV4 = "198.18.0.2:10000".parse().unwrap();
        match has {
            Has::Listening => self.observed.note(&engine::Event::Listening { id, address }),
            Has::Exited => self.observed.note(&engine::Event::Exited { id, exit: CRASH }),
            _ => {}
        }
    }

    /// Adds a one-off dyno that was recorded so many seconds ago and may live for a minute.
    fn one_off(&mut self, state: DynoState, has: &Has, seconds_ago: u64) -> DynoId {
        let id = self.dyno("run.1234", self.old, state, has);
        let ago = i64::try_from(seconds_ago * 1_000_000).unwrap();
        let row = self.row(id);
        row.created_at = Timestamp::from_micros(-ago);
        row.one_off = Some(OneOff { attached: None, tells_status: false, time_to_live: Duration::from_mins(1) });
        id
    }

    /// The steps, as text: `create web.1`, `stop worker.1 Replaced`.
    fn steps(&self) -> Vec<String> {
        let apps = BTreeMap::from([(self.app, self.view.clone())]);
        let (observed, memory, config) = (&self.observed, &self.memory, &self.config);
        let plan =
            plan(&World { apps: &apps, observed, memory, config, now: self.now, today: Timestamp::from_micros(0) });
        plan.steps.iter().map(|step| self.text(step)).collect()
    }

    fn text(&self, step: &Step) -> String {
        let name = |id: &DynoId| {
            let row = self.view.dynos.iter().find(|dyno| dyno.id == *id);
            row.map_or_else(|| self.observed.get(*id).unwrap().name.clone(), |dyno| dyno.name.to_string())
        };
        match step {
            Step::Create(new) if new.follows.is_some() => format!("restart {}", new.name),
            Step::Create(new) => format!("create {}", new.name),
            Step::Forget(id) => format!("forget {}", name(id)),
            Step::Start(dyno) => format!("start {}", dyno.name),
            Step::Ready(dyno, address) => format!("ready {} {}", dyno.name, address.is_some()),
            Step::BootTimeout(dyno) => format!("R10 {}", dyno.name),
            Step::Crash(dyno, exit) => format!("crash {} {}", dyno.name, exit.is_some()),
            Step::Stop(dyno, why) => format!("stop {} {why:?}", dyno.name),
            Step::Finish(dyno, _) => format!("finish {}", dyno.name),
            Step::StopOrphan(id) => format!("stop orphan {}", name(id)),
            Step::Remove(id) => format!("remove {}", name(id)),
        }
    }

    fn row(&mut self, id: DynoId) -> &mut Dyno {
        self.view.dynos.iter_mut().find(|dyno| dyno.id == id).unwrap()
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_first_deploy_starts_everything_at_once() {
    let case = Case::new(&[("web", 2), ("worker", 1), ("release", 1)]);
    assert_eq!(case.steps(), ["create web.1", "create web.2", "create worker.1"]);
}

#[test]
fn an_app_without_a_release_or_with_a_type_its_slug_lacks_runs_nothing() {
    let mut case = Case::new(&[("clock", 1)]);
    assert_eq!(case.steps(), NOTHING);
    case = Case::new(&[("web", 1)]);
    case.view.current = None;
    assert_eq!(case.steps(), NOTHING);
}

#[test]
fn what_is_as_wanted_needs_no_step() {
    let mut case = Case::new(&[("web", 1), ("worker", 1)]);
    case.dyno("web.1", case.new, DynoState::Up, &Has::Listening);
    case.dyno("worker.1", case.new, DynoState::Up, &Has::Running);
    assert_eq!(case.steps(), NOTHING);
}

#[test]
fn a_recorded_dyno_is_started_and_up_when_it_listens_or_runs() {
    let mut case = Case::new(&[("web", 3), ("worker", 1)]);
    case.dyno("web.1", case.new, DynoState::Starting, &Has::Nothing);
    case.dyno("web.2", case.new, DynoState::Starting, &Has::Running);
    case.dyno("web.3", case.new, DynoState::Starting, &Has::Listening);
    case.dyno("worker.1", case.new, DynoState::Starting, &Has::Running);
    assert_eq!(case.steps(), ["start web.1", "ready web.3 true", "ready worker.1 false"]);
}

#[test]
fn web_starts_the_new_before_it_stops_the_old_one_at_a_time() {
    let mut case = Case::new(&[("web", 2)]);
    case.dyno("web.1", case.old, DynoState::Up, &Has::Listening);
    case.dyno("web.2", case.old, DynoState::Up, &Has::Listening);
    assert_eq!(case.steps(), ["create web.1"]);
    let new = case.dyno("web.1", case.new, DynoState::Starting, &Has::Running);
    assert_eq!(case.steps(), NOTHING);
    case.row(new).state = DynoState::Up;
    assert_eq!(case.steps(), ["stop web.1 Replaced"]);
}

#[test]
fn the_next_web_is_replaced_when_the_old_one_is_gone() {
    let mut case = Case::new(&[("web", 2)]);
    let old = case.dyno("web.1", case.old, DynoState::Down, &Has::Running);
    case.memory.terminated.insert(old, case.now);
    case.dyno("web.2", case.old, DynoState::Up, &Has::Listening);
    case.dyno("web.1", case.new, DynoState::Up, &Has::Listening);
    assert_eq!(case.steps(), NOTHING);
    case.view.dynos.remove(0);
    case.observed.removed(old);
    assert_eq!(case.steps(), ["create web.2"]);
}

#[test]
fn without_preboot_the_old_web_stops_first() {
    let mut case = Case::new(&[("web", 1), ("worker", 1)]);
    case.view.stops_first = true;
    let old = case.dyno("web.1", case.old, DynoState::Up, &Has::Listening);
    case.dyno("worker.1", case.old, DynoState::Up, &Has::Running);
    assert_eq!(case.steps(), ["stop web.1 Replaced"]);
    case.row(old).state = DynoState::Down;
    case.memory.terminated.insert(old, case.now);
    assert_eq!(case.steps(), NOTHING);
    case.view.dynos.remove(0);
    case.observed.removed(old);
    assert_eq!(case.steps(), ["create web.1"]);
}

#[test]
fn without_memory_for_both_the_old_web_stops_first() {
    let mut case = Case::new(&[("web", 2)]);
    case.config.may_surge = false;
    let old = case.dyno("web.1", case.old, DynoState::Up, &Has::Listening);
    case.dyno("web.2", case.old, DynoState::Up, &Has::Listening);
    assert_eq!(case.steps(), ["stop web.1 MakesRoom"]);
    case.row(old).state = DynoState::Down;
    case.memory.terminated.insert(old, case.now);
    assert_eq!(case.steps(), NOTHING);
    case.view.dynos.remove(0);
    case.observed.removed(old);
    assert_eq!(case.steps(), ["create web.1"]);
    let new = case.dyno("web.1", case.new, DynoState::Starting, &Has::Running);
    assert_eq!(case.steps(), NOTHING);
    case.row(new).state = DynoState::Up;
    assert_eq!(case.steps(), ["stop web.2 MakesRoom"]);
}

#[test]
fn a_release_that_never_boots_leaves_the_old_web_and_backs_off() {
    let mut case = Case::new(&[("web", 1), ("worker", 1)]);
    case.dyno("web.1", case.old, DynoState::Up, &Has::Listening);
    case.dyno("worker.1", case.old, DynoState::Up, &Has::Running);
    let failed = case.dyno("web.1", case.new, DynoState::Crashed, &Has::Nothing);
    assert_eq!(case.steps(), ["restart web.1"]);
    for id in [failed, DynoId::new()] {
        let (app, release) = (case.app, case.new);
        let crash = Crash { id, app, name: "web.1".parse().unwrap(), release, ran: Duration::ZERO };
        case.memory.crashes.add(crash, case.now, &case.config);
    }
    assert_eq!(case.steps(), NOTHING);
    case.now += case.config.first_pause;
    assert_eq!(case.steps(), ["restart web.1"]);
}

#[test]
fn an_intermediate_release_is_skipped() {
    let mut case = Case::new(&[("web", 1)]);
    let between = ReleaseId::new();
    case.dyno("web.1", case.old, DynoState::Up, &Has::Listening);
    let booting = case.dyno("web.1", between, DynoState::Starting, &Has::Running);
    assert_eq!(case.steps(), ["stop web.1 NotWanted", "create web.1"]);
    case.observed.removed(booting);
    case.row(booting).state = DynoState::Crashed;
    assert_eq!(case.steps(), ["forget web.1", "create web.1"]);
}

#[test]
fn other_types_stop_first_once_the_new_web_is_up() {
    let mut case = Case::new(&[("web", 1), ("worker", 1)]);
    case.dyno("web.1", case.old, DynoState::Up, &Has::Listening);
    let worker = case.dyno("worker.1", case.old, DynoState::Up, &Has::Running);
    let web = case.dyno("web.1", case.new, DynoState::Starting, &Has::Running);
    assert_eq!(case.steps(), NOTHING);
    case.row(web).state = DynoState::Up;
    assert_eq!(case.steps(), ["stop web.1 Replaced", "stop worker.1 Replaced"]);
    case.view.dynos.remove(0);
    case.row(worker).state = DynoState::Down;
    case.memory.terminated.insert(worker, case.now);
    assert!(!case.steps().contains(&"create worker.1".to_owned()));
    case.view.dynos.remove(0);
    assert!(case.steps().contains(&"create worker.1".to_owned()));
}

#[test]
fn other_types_switch_at_once_if_there_is_no_web() {
    let mut case = Case::new(&[("web", 0), ("worker", 1)]);
    case.dyno("worker.1", case.old, DynoState::Up, &Has::Running);
    assert_eq!(case.steps(), ["stop worker.1 Replaced"]);
}

#[test]
fn a_restart_replaces_web_and_stops_others_first_whatever_web_does() {
    let mut case = Case::new(&[("web", 1), ("worker", 1)]);
    let web = case.dyno("web.1", case.new, DynoState::Up, &Has::Listening);
    let worker = case.dyno("worker.1", case.new, DynoState::Up, &Has::Running);
    case.row(web).restart_asked = true;
    case.row(worker).restart_asked = true;
    assert_eq!(case.steps(), ["create web.1", "stop worker.1 Replaced"]);
}

#[test]
fn a_restart_of_a_crashed_dyno_does_not_wait_for_its_back_off() {
    let mut case = Case::new(&[("web", 1)]);
    let web = case.dyno("web.1", case.new, DynoState::Crashed, &Has::Nothing);
    case.row(web).restart_asked = true;
    assert_eq!(case.steps(), ["forget web.1", "create web.1"]);
}

#[test]
fn a_new_size_replaces() {
    let mut case = Case::new(&[("web", 1)]);
    let web = case.dyno("web.1", case.new, DynoState::Up, &Has::Listening);
    case.row(web).size = DynoSize::Standard2X;
    assert_eq!(case.steps(), ["create web.1"]);
}

#[test]
fn scaling_down_removes_the_highest_numbers() {
    let mut case = Case::new(&[("web", 1)]);
    for name in ["web.1", "web.2", "web.3"] {
        case.dyno(name, case.new, DynoState::Up, &Has::Listening);
    }
    assert_eq!(case.steps(), ["stop web.2 NotWanted", "stop web.3 NotWanted"]);
}

#[test]
fn an_end_is_a_crash_also_with_nobody_to_tell_how() {
    let mut case = Case::new(&[("web", 2)]);
    case.dyno("web.1", case.new, DynoState::Up, &Has::Exited);
    case.dyno("web.2", case.new, DynoState::Up, &Has::Nothing);
    assert_eq!(case.steps(), ["crash web.1 true", "crash web.2 false"]);
}

#[test]
fn a_web_dyno_that_does_not_listen_is_ended_after_60_seconds() {
    let mut case = Case::new(&[("web", 1)]);
    let web = case.dyno("web.1", case.new, DynoState::Starting, &Has::Running);
    case.memory.running_since.insert(web, case.now);
    case.now += Duration::from_millis(59_999);
    assert_eq!(case.steps(), NOTHING);
    case.now += Duration::from_millis(1);
    assert_eq!(case.steps(), ["R10 web.1"]);
    case.memory.terminated.insert(web, case.now);
    assert_eq!(case.steps(), NOTHING);
}

#[test]
fn what_is_down_is_stopped_again_finished_or_forgotten() {
    let mut case = Case::new(&[]);
    case.dyno("web.1", case.old, DynoState::Down, &Has::Running);
    case.dyno("web.2", case.old, DynoState::Down, &Has::Exited);
    case.dyno("web.3", case.old, DynoState::Down, &Has::Nothing);
    assert_eq!(case.steps(), ["stop web.1 Again", "finish web.2", "forget web.3"]);
}

#[test]
fn instances_without_a_row_are_stopped_and_removed_but_never_those_of_others() {
    let mut case = Case::new(&[]);
    case.instance(DynoId::new(), "release.4711", &Has::Running);
    case.observed.started(DynoId::new(), Kind::Build, case.app, "build");
    assert_eq!(case.steps(), NOTHING);
    let orphan = DynoId::new();
    case.instance(orphan, "web.1", &Has::Running);
    assert_eq!(case.steps(), ["stop orphan web.1"]);
    case.observed.note(&engine::Event::Exited { id: orphan, exit: CRASH });
    case.memory.ended_since.insert(orphan, case.now);
    assert_eq!(case.steps(), NOTHING);
    case.now += case.config.linger;
    assert_eq!(case.steps(), ["remove web.1"]);
}

#[test]
fn a_dyno_with_a_step_under_way_or_at_rest_is_left_alone() {
    let mut case = Case::new(&[("web", 2)]);
    let one = case.dyno("web.1", case.new, DynoState::Starting, &Has::Nothing);
    let two = case.dyno("web.2", case.new, DynoState::Starting, &Has::Nothing);
    case.memory.under_way.insert(one);
    case.memory.resting.insert(two, case.now + Duration::from_secs(1));
    assert_eq!(case.steps(), NOTHING);
    case.now += Duration::from_secs(1);
    assert_eq!(case.steps(), ["start web.2"]);
}

#[test]
fn the_states_an_instance_can_have_are_all_planned_for() {
    // A crash whose instance still runs is ended; one that is over is kept a moment, then removed.
    let mut case = Case::new(&[]);
    case.view.current = None;
    case.dyno("web.1", case.old, DynoState::Crashed, &Has::Running);
    let ended = case.dyno("web.2", case.old, DynoState::Crashed, &Has::Exited);
    case.memory.ended_since.insert(ended, case.now - case.config.linger);
    assert_eq!(case.steps(), ["stop orphan web.1", "remove web.2"]);
    assert!(matches!(case.observed.get(ended).unwrap().state, InstanceState::Exited(_)));
}

#[test]
fn a_one_off_dyno_starts_once_and_is_forgotten() {
    let steps = |state, has| {
        let mut case = Case::new(&[]);
        case.one_off(state, &has, 0);
        case.steps()
    };
    assert_eq!(steps(DynoState::Starting, Has::Nothing), ["start run.1234"]);
    assert_eq!(steps(DynoState::Starting, Has::Running), ["ready run.1234 false"]);
    assert_eq!(steps(DynoState::Starting, Has::Exited), ["ready run.1234 false"]);
    assert_eq!(steps(DynoState::Up, Has::Running), NOTHING);
    assert_eq!(steps(DynoState::Up, Has::Exited), ["finish run.1234"]);
    assert_eq!(steps(DynoState::Up, Has::Nothing), ["forget run.1234"]);
    assert_eq!(steps(DynoState::Crashed, Has::Nothing), ["forget run.1234"]);
    assert_eq!(steps(DynoState::Down, Has::Exited), ["finish run.1234"]);
    assert_eq!(steps(DynoState::Down, Has::Running), ["stop run.1234 Again"]);
}

#[test]
fn a_one_off_dyno_is_stopped_when_asked_or_when_its_time_is_over() {
    let mut case = Case::new(&[]);
    let id = case.one_off(DynoState::Up, &Has::Running, 59);
    assert_eq!(case.steps(), NOTHING);
    case.row(id).restart_asked = true;
    assert_eq!(case.steps(), ["stop run.1234 NotWanted"]);
    let mut case = Case::new(&[]);
    case.one_off(DynoState::Up, &Has::Running, 60);
    assert_eq!(case.steps(), ["stop run.1234 Expired"]);
    let mut case = Case::new(&[]);
    let id = case.one_off(DynoState::Starting, &Has::Nothing, 0);
    case.row(id).restart_asked = true;
    assert_eq!(case.steps(), ["forget run.1234"]);
}

#[test]
fn the_formation_and_one_off_dynos_leave_each_other_alone() {
    let mut case = Case::new(&[("web", 1)]);
    case.dyno("web.1", case.new, DynoState::Up, &Has::Listening);
    let id = case.one_off(DynoState::Up, &Has::Running, 0);
    case.row(id).name = "web.7".parse().unwrap();
    assert_eq!(case.steps(), NOTHING);
    let case = Case::new(&[("run", 1)]);
    assert_eq!(case.steps(), NOTHING);
}
