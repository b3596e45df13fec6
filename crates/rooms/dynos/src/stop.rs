//! Stopping a dyno: out of the routes, SIGTERM, SIGKILL after the grace time, R12.

use crashpoints::Point;
use engine::Exit;
use store::dynos::Dyno;
use tokio::time::Instant;
use vocabulary::{DynoEvent, DynoId, DynoState};

use crate::apply::{Failed, Outcome};
use crate::plan::Why;
use crate::{Dynos, lines};

impl Dynos {
    /// Takes a dyno out of the routes, waits until its requests ended or the drain time passed, and tells the engine
    /// to stop it.
    pub(crate) async fn stop(&self, dyno: &Dyno, why: Why) -> Result<Outcome, Failed> {
        let before = dyno.state;
        let moved = self.moved(dyno, DynoEvent::Stopped, None).await?.is_some();
        let since = Instant::now();
        if moved {
            crashpoints::reach(Point::DynoStopping);
            match why {
                Why::Replaced => self.say(dyno, lines::RESTARTING),
                Why::MakesRoom => self.say(dyno, lines::STOPS_FIRST),
                Why::Expired => self.say(dyno, lines::CYCLING),
                Why::NotWanted | Why::Again => {}
            }
            if dyno.one_off.is_none() {
                self.say(dyno, lines::state_changed(before.as_str(), DynoState::Down.as_str()));
            }
        }
        if dyno.serves_requests() && before != DynoState::Starting {
            self.departures.departed(dyno.id, since, self.config.drain).await;
            crashpoints::reach(Point::DynoDeparted);
        }
        self.say(dyno, lines::SIGTERM);
        self.terminate(dyno.id).await
    }

    /// SIGTERM now, SIGKILL by the engine after the grace time.
    pub(crate) async fn terminate(&self, id: DynoId) -> Result<Outcome, Failed> {
        let at = Instant::now();
        self.engine.stop(id, self.config.grace).await?;
        crashpoints::reach(Point::DynoTerminated);
        Ok(Outcome::Terminated(at))
    }

    /// A one-off dyno has ended, by itself or as it was told to. Its instance stays for the reader of its output.
    pub(crate) async fn complete(&self, dyno: &Dyno, exit: Exit, timed_out: bool) -> Result<Outcome, Failed> {
        let told = match dyno.state {
            DynoState::Down => lines::stopped(exit, self.config.grace, timed_out),
            _ => lines::crashed(exit, dyno.size, self.config.killed_at),
        };
        let mut write = self.store.write().await?;
        store::dynos::delete(&mut write, dyno.id).await?;
        write.commit().await?;
        for line in told {
            self.say(dyno, line);
        }
        self.say(dyno, lines::state_changed("up", "complete"));
        self.wakers.changes.tell();
        Ok(Outcome::Recorded)
    }

    /// A dyno that was told to stop has ended.
    pub(crate) async fn finish(&self, dyno: &Dyno, exit: Exit, timed_out: bool) -> Result<Outcome, Failed> {
        if dyno.one_off.is_some() {
            return self.complete(dyno, exit, timed_out).await;
        }
        for line in lines::stopped(exit, self.config.grace, timed_out) {
            self.say(dyno, line);
        }
        let mut write = self.store.write().await?;
        store::dynos::delete(&mut write, dyno.id).await?;
        write.commit().await?;
        crashpoints::reach(Point::DynoForgotten);
        self.wakers.changes.tell();
        self.remove(dyno.id).await
    }

    /// Frees an ended instance.
    pub(crate) async fn remove(&self, id: DynoId) -> Result<Outcome, Failed> {
        self.engine.remove(id).await?;
        Ok(Outcome::Removed)
    }
}
