//! Restarting dynos on request. A one-off dyno does not start again: to restart it is to stop it, and only who names it
//! means it.

use store::apps::App;
use store::dynos::Dyno;
use vocabulary::{DynoId, DynoName, DynoState, ProcessType};

use crate::{Dynos, Error};

/// Which dynos a restart or stop means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All of the formation.
    All,
    /// All of the formation of one process type.
    Type(ProcessType),
    /// The same, and the one-off dynos that are called so.
    TypeAndOneOffs(ProcessType),
    /// One.
    One(DynoName),
}

impl Dynos {
    /// Asks for a restart. Answers when it is recorded. A type or a dyno that has no run is [`Error::NotFound`].
    pub async fn restart(&self, app: &App, which: &Which, email: &str) -> Result<(), Error> {
        let dynos = store::dynos::list(&self.store, app.id).await?;
        let ids: Vec<DynoId> = dynos.iter().filter(|dyno| means(which, dyno)).map(|dyno| dyno.id).collect();
        match which {
            Which::One(_) if ids.is_empty() => return Err(Error::NotFound("dyno")),
            Which::Type(_) | Which::TypeAndOneOffs(_) if ids.is_empty() => return Err(Error::NotFound("process type")),
            _ => {}
        }
        let mut write = self.store.write().await?;
        store::dynos::ask_restart(&mut write, &ids).await?;
        write.commit().await?;
        tracing::info!(app.name = %app.name, user = email, dynos = ids.len(), "restart asked for");
        self.wakers.dynos.wake();
        Ok(())
    }
}

fn means(which: &Which, dyno: &Dyno) -> bool {
    let named = match which {
        Which::All => dyno.one_off.is_none(),
        Which::Type(process_type) => dyno.one_off.is_none() && dyno.name.process_type() == process_type,
        Which::TypeAndOneOffs(process_type) => dyno.name.process_type() == process_type,
        Which::One(name) => dyno.name == *name,
    };
    named && dyno.state != DynoState::Down
}
