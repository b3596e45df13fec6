//! Recording that a dyno ended by itself. Status 0 counts, too: nobody asked it to end.

use std::time::Duration;

use engine::Exit;
use store::dynos::Dyno;
use tokio::time::Instant;
use vocabulary::DynoEvent;

use crate::apply::{Failed, Outcome};
use crate::backoff::Crash;
use crate::plan::Memory;
use crate::{Dynos, lines};

impl Dynos {
    /// Counts a crash for the back-off.
    pub(crate) fn count(&self, dyno: &Dyno, memory: &mut Memory, now: Instant) {
        let since = memory.running_since.get(&dyno.id);
        let ran = since.map_or(Duration::ZERO, |since| now.duration_since(*since));
        let crash = Crash { id: dyno.id, app: dyno.app_id, name: dyno.name.clone(), release: dyno.release_id, ran };
        memory.crashes.add(crash, now, &self.config);
    }

    /// Records a crash. Without an exit the instance is gone, as after a restart of the machine.
    pub(crate) async fn crashed(&self, dyno: &Dyno, exit: Option<Exit>) -> Result<Outcome, Failed> {
        if self.moved(dyno, DynoEvent::Exited, None).await?.is_some() {
            for line in exit.map(|exit| lines::crashed(exit, dyno.size, self.config.killed_at)).unwrap_or_default() {
                self.say(dyno, line);
            }
            self.say(dyno, lines::state_changed(dyno.state.as_str(), "crashed"));
        }
        Ok(Outcome::Recorded)
    }
}
