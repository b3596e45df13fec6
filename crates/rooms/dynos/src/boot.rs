//! Starting a dyno, until it is up or R10.

use std::net::SocketAddrV4;
use std::time::Duration;

use crashpoints::Point;
use engine::{Stdio, Terminal};
use launch::{Error, OneOff, Run};
use store::dynos::{Attached, Dyno};
use tokio::time::Instant;
use vocabulary::DynoEvent;

use crate::apply::{Failed, Outcome};
use crate::{Dynos, lines};

impl Dynos {
    /// Starts the instance of a recorded dyno. If that cannot be done, the dyno crashes with a reason (R99), so that
    /// it is tried again with the back-off of crashes.
    pub(crate) async fn start(&self, dyno: &Dyno) -> Result<Outcome, Failed> {
        if dyno.one_off.as_ref().is_some_and(|one_off| one_off.attached.is_some()) {
            self.say(dyno, lines::AWAITING);
        }
        self.say(dyno, lines::starting(&dyno.command));
        match self.launch(dyno).await {
            Ok(()) => Ok(Outcome::Started(dyno.app_id, dyno.name.to_string())),
            Err(error) if error.is_away() => Ok(Outcome::Rest),
            Err(error) => {
                tracing::error!(dyno.id = %dyno.id, error = &error as &dyn std::error::Error, "could not start a dyno");
                self.say(dyno, lines::platform_error(&error.to_string()));
                self.moved(dyno, DynoEvent::Exited, None).await?;
                self.say(dyno, lines::state_changed("starting", "crashed"));
                Ok(Outcome::StartFailed(dyno.clone()))
            }
        }
    }

    async fn launch(&self, dyno: &Dyno) -> Result<(), Error> {
        tracing::debug!(target: "timing", step = "dyno wanted", dyno.name = %dyno.name);
        let release = store::releases::get(&self.store, dyno.release_id).await?.ok_or(Error::Gone)?;
        let slug = match release.slug_id {
            Some(id) => store::slugs::get(&self.store, id).await?.ok_or(Error::Gone)?,
            None => return Err(Error::Gone),
        };
        let config = store::releases::config_vars(&self.store, release.id).await?;
        let env = store::dynos::env(&self.store, dyno.id).await?;
        let run = Run {
            id: dyno.id,
            app: dyno.app_id,
            name: dyno.name.to_string(),
            size: dyno.size,
            command: &dyno.command,
            port: dyno.serves_requests().then(|| launch::port(dyno.id)),
            release: &release,
            slug: &slug,
            config: &config,
            one_off: dyno.one_off.as_ref().map(|one_off| OneOff {
                env: &env,
                stdio: stdio(one_off.attached),
                tells_status: one_off.tells_status,
            }),
        };
        self.launcher.start(&run).await?;
        crashpoints::reach(Point::DynoStarted);
        tracing::debug!(target: "timing", step = "dyno runs", dyno.name = %dyno.name);
        Ok(())
    }

    /// A web dyno listens, or another runs.
    pub(crate) async fn ready(&self, dyno: &Dyno, address: Option<SocketAddrV4>) -> Result<Outcome, Failed> {
        tracing::debug!(target: "timing", step = "dyno listens", dyno.name = %dyno.name);
        if self.moved(dyno, DynoEvent::BecameReady, address).await?.is_some() {
            crashpoints::reach(Point::DynoUp);
            self.say(dyno, lines::state_changed("starting", "up"));
        }
        Ok(Outcome::Recorded)
    }

    /// A web dyno did not listen in time. It crashes when its end has been seen.
    pub(crate) async fn boot_timed_out(&self, dyno: &Dyno) -> Result<Outcome, Failed> {
        self.say(dyno, lines::boot_timeout(self.config.boot_timeout));
        self.say(dyno, lines::SIGKILL);
        let at = Instant::now();
        self.engine.stop(dyno.id, Duration::ZERO).await?;
        Ok(Outcome::Terminated(at))
    }
}

fn stdio(attached: Option<Attached>) -> Stdio {
    attached.map_or(Stdio::Logged, |attached| Stdio::Attached {
        terminal: attached.terminal.map(|(columns, rows)| Terminal { columns, rows }),
    })
}
