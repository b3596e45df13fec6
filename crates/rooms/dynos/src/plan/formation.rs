//! An app's dynos against its formation and its current release.
//!
//! - `web` starts the new before it stops the old, one at a time; the old goes once the new is up. Without memory for
//!   both, or with the feature `preboot` off, the old stops first.
//! - Every other type stops first, so that no worker or clock runs twice; on a new release it does so once the first
//!   new web dyno is up, or at once if there is none.
//! - A dyno is fresh if it runs the current release in the wanted size and nobody asked for its restart; else stale.
//!   Fresh ones that crashed start again after the back-off. Stale ones that do not serve are given up: nothing goes
//!   back to an older release by itself, and an intermediate one may be skipped.

use std::collections::{BTreeMap, HashSet};

use store::dynos::Dyno;
use vocabulary::{AppId, DynoId, DynoName, DynoState, ProcessType};

use super::{AppView, Current, New, Plan, Step, Wanted, Why, World};

/// The steps that bring the app's dynos in line with what is wanted.
pub(super) fn plan(world: &World<'_>, id: AppId, app: &AppView, settled: &HashSet<DynoId>, plan: &mut Plan) {
    let Some(current) = &app.current else { return };
    let may_surge = world.config.may_surge && !app.stops_first;
    let view = View { world, id, current, settled, may_surge };
    let names = by_name(app);
    let mut surging = view.surging(&names);
    let gate = view.gate(&names);
    for place in names.values() {
        match (&place.wanted, place.name.process_type().is_web()) {
            (None, _) => view.give_up(&place.rows, plan),
            (Some(wanted), web) => match current.process_types.command(&wanted.process_type) {
                None if web || gate => view.give_up(&place.rows, plan),
                None => {}
                Some(command) if web => view.web(place, wanted, command, &mut surging, plan),
                Some(command) => view.other(place, wanted, command, gate, plan),
            },
        }
    }
}

/// One name, what the formation says of it, and its rows, oldest first.
struct Place<'a> {
    name: DynoName,
    wanted: Option<Wanted>,
    rows: Vec<&'a Dyno>,
}

/// The rows of a name, sorted out.
struct Sorted<'a> {
    fresh: Option<&'a Dyno>,
    stale: Vec<&'a Dyno>,
    /// Rows that are down, whose instance may be on its way out.
    leaving: bool,
}

struct View<'a> {
    world: &'a World<'a>,
    id: AppId,
    current: &'a Current,
    settled: &'a HashSet<DynoId>,
    /// Whether an old and a new web dyno may run side by side.
    may_surge: bool,
}

fn by_name(app: &AppView) -> BTreeMap<DynoName, Place<'_>> {
    let mut names = BTreeMap::new();
    for wanted in app.wanted.iter().filter(|wanted| !wanted.process_type.is_release()) {
        for number in 1..=wanted.quantity {
            let name = DynoName::new(wanted.process_type.clone(), number);
            names.insert(name.clone(), Place { name, wanted: Some(wanted.clone()), rows: vec![] });
        }
    }
    for dyno in app.dynos.iter().filter(|dyno| dyno.one_off.is_none()) {
        let unwanted = || Place { name: dyno.name.clone(), wanted: None, rows: vec![] };
        names.entry(dyno.name.clone()).or_insert_with(unwanted).rows.push(dyno);
    }
    names
}

impl View<'_> {
    fn sort<'d>(&self, place: &Place<'d>, wanted: &Wanted) -> Sorted<'d> {
        let mut sorted = Sorted { fresh: None, stale: vec![], leaving: false };
        for dyno in place.rows.iter().rev() {
            let right = dyno.release_id == self.current.release && dyno.size == wanted.size && !dyno.restart_asked;
            match dyno.state {
                DynoState::Down => sorted.leaving = true,
                _ if right && sorted.fresh.is_none() => sorted.fresh = Some(dyno),
                _ => sorted.stale.push(dyno),
            }
        }
        sorted
    }

    fn is_up(&self, dyno: &Dyno) -> bool {
        dyno.state == DynoState::Up && self.settled.contains(&dyno.id)
    }

    /// Whether a web dyno is being replaced: a new one beside an old one that serves, or (without memory for both)
    /// one that is not up yet in its place, or an old one that has not gone yet.
    fn surging(&self, names: &BTreeMap<DynoName, Place<'_>>) -> bool {
        web_places(names).any(|(place, wanted)| {
            let sorted = self.sort(place, wanted);
            let serving = sorted.stale.iter().any(|dyno| dyno.state == DynoState::Up);
            let booting = sorted.fresh.is_some_and(|fresh| !self.is_up(fresh));
            let missing = sorted.fresh.is_none() && !serving;
            sorted.leaving || (sorted.fresh.is_some() && serving) || (!self.may_surge && (booting || missing))
        })
    }

    /// Whether other types may switch to the current release.
    fn gate(&self, names: &BTreeMap<DynoName, Place<'_>>) -> bool {
        let has_web = self.current.process_types.command(&ProcessType::web()).is_some();
        let mut webs = web_places(names).filter(|_| has_web).peekable();
        webs.peek().is_none()
            || webs.any(|(place, wanted)| self.sort(place, wanted).fresh.is_some_and(|fresh| self.is_up(fresh)))
    }

    fn web(&self, place: &Place<'_>, wanted: &Wanted, command: &str, surging: &mut bool, plan: &mut Plan) {
        let sorted = self.sort(place, wanted);
        let (serving, useless): (Vec<&Dyno>, Vec<&Dyno>) =
            sorted.stale.iter().partition(|dyno| dyno.state == DynoState::Up);
        self.give_up(&useless, plan);
        match sorted.fresh {
            Some(fresh) if self.is_up(fresh) => self.stop_all(&serving, Why::Replaced, plan),
            Some(fresh) => self.restart_if_crashed(fresh, plan),
            None if serving.is_empty() => {
                if self.may_surge || !sorted.leaving {
                    self.create(place, wanted, command, &sorted, plan);
                }
            }
            None if *surging => {}
            None if self.may_surge => {
                *surging = true;
                self.create(place, wanted, command, &sorted, plan);
            }
            None => {
                *surging = true;
                // Whoever switched preboot off need not be told why; whoever lacks memory is.
                let why = if self.world.config.may_surge { Why::Replaced } else { Why::MakesRoom };
                self.stop_all(&serving, why, plan);
            }
        }
    }

    fn other(&self, place: &Place<'_>, wanted: &Wanted, command: &str, gate: bool, plan: &mut Plan) {
        let sorted = self.sort(place, wanted);
        let (crashed, running): (Vec<&Dyno>, Vec<&Dyno>) =
            sorted.stale.iter().partition(|dyno| dyno.state == DynoState::Crashed);
        self.give_up(&crashed, plan);
        let switching: Vec<&Dyno> =
            running.iter().copied().filter(|dyno| gate || dyno.release_id == self.current.release).collect();
        self.stop_all(&switching, Why::Replaced, plan);
        if sorted.leaving || !running.is_empty() {
            return;
        }
        match sorted.fresh {
            Some(fresh) => self.restart_if_crashed(fresh, plan),
            None => self.create(place, wanted, command, &sorted, plan),
        }
    }

    /// Dynos without a place: stops those that run and forgets those that crashed.
    fn give_up(&self, dynos: &[&Dyno], plan: &mut Plan) {
        let (crashed, running): (Vec<&Dyno>, Vec<&Dyno>) =
            dynos.iter().partition(|dyno| dyno.state == DynoState::Crashed);
        plan.steps
            .extend(crashed.iter().filter(|dyno| self.settled.contains(&dyno.id)).map(|dyno| Step::Forget(dyno.id)));
        self.stop_all(&running, Why::NotWanted, plan);
    }

    fn stop_all(&self, dynos: &[&Dyno], why: Why, plan: &mut Plan) {
        for dyno in dynos.iter().filter(|dyno| dyno.state != DynoState::Down && self.settled.contains(&dyno.id)) {
            plan.steps.push(Step::Stop((*dyno).clone(), why));
        }
    }

    fn create(&self, place: &Place<'_>, wanted: &Wanted, command: &str, sorted: &Sorted<'_>, plan: &mut Plan) {
        plan.steps.push(Step::Create(New {
            app: self.id,
            name: place.name.clone(),
            release: self.current.release,
            size: wanted.size,
            command: command.to_owned(),
            follows: None,
            asked: sorted.stale.iter().any(|dyno| dyno.restart_asked),
        }));
    }

    fn restart_if_crashed(&self, dyno: &Dyno, plan: &mut Plan) {
        if dyno.state != DynoState::Crashed || !self.world.is_free(dyno.id) {
            return;
        }
        let due = self.world.memory.crashes.due(self.id, &dyno.name, dyno.release_id);
        if let Some(due) = due.filter(|due| *due > self.world.now) {
            return plan.at(due);
        }
        plan.steps.push(Step::Create(New {
            app: self.id,
            name: dyno.name.clone(),
            release: dyno.release_id,
            size: dyno.size,
            command: dyno.command.clone(),
            follows: Some(dyno.id),
            asked: false,
        }));
    }
}

fn web_places<'a, 'd>(names: &'a BTreeMap<DynoName, Place<'d>>) -> impl Iterator<Item = (&'a Place<'d>, &'a Wanted)> {
    names
        .values()
        .filter(|place| place.name.process_type().is_web())
        .filter_map(|place| place.wanted.as_ref().map(|wanted| (place, wanted)))
}
