//! What the engine runs, as far as it has said.

use std::collections::HashMap;

use engine::{Event, Exit, InstanceState, InstanceStatus, Kind};
use vocabulary::{AppId, DynoId};

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) kind: Kind,
    pub(crate) app: AppId,
    pub(crate) name: String,
    pub(crate) state: InstanceState,
}

/// Every instance. Made of a list, kept up to date by events; an event may be older than the list and changes
/// nothing then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed(HashMap<DynoId, Instance>);

impl Observed {
    /// What a list says.
    pub(crate) fn of(list: Vec<InstanceStatus>) -> Self {
        let instance = |one: InstanceStatus| {
            let instance = Instance { kind: one.spec.kind, app: one.spec.app, name: one.spec.name, state: one.state };
            (one.spec.id, instance)
        };
        Self(list.into_iter().map(instance).collect())
    }

    /// What an event adds.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::Started { id, kind, app, name } => self.started(*id, *kind, *app, name),
            Event::Listening { id, address } => self.change(*id, InstanceState::Running { listening: Some(*address) }),
            Event::Exited { id, exit } => self.change(*id, InstanceState::Exited(*exit)),
            Event::LoopbackOnly { .. } | Event::Unattached { .. } | Event::Connected => {}
        }
    }

    /// An instance runs that was not known; one that is known stays as it is.
    pub(crate) fn started(&mut self, id: DynoId, kind: Kind, app: AppId, name: &str) {
        let state = InstanceState::Running { listening: None };
        self.0.entry(id).or_insert_with(|| Instance { kind, app, name: name.to_owned(), state });
    }

    /// An instance is gone.
    pub(crate) fn removed(&mut self, id: DynoId) {
        self.0.remove(&id);
    }

    /// What is known of an instance.
    pub(crate) fn get(&self, id: DynoId) -> Option<&Instance> {
        self.0.get(&id)
    }

    /// Every instance.
    pub(crate) fn all(&self) -> impl Iterator<Item = (DynoId, &Instance)> {
        self.0.iter().map(|(id, instance)| (*id, instance))
    }

    /// What has ended stays ended.
    fn change(&mut self, id: DynoId, state: InstanceState) {
        if let Some(instance) = self.0.get_mut(&id)
            && !matches!(instance.state, InstanceState::Exited(_))
        {
            instance.state = state;
        }
    }
}

impl Instance {
    /// How it ended, if it has.
    pub(crate) fn exit(&self) -> Option<Exit> {
        match self.state {
            InstanceState::Exited(exit) => Some(exit),
            InstanceState::Running { .. } => None,
        }
    }

    /// Whether this room would have started it. Builds belong to `builds`, `release.4711` to `releases`.
    pub(crate) fn is_ours(&self) -> bool {
        self.kind == Kind::Dyno && !self.name.starts_with("release.")
    }
}
