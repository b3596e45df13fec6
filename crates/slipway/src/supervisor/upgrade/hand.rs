//! The last steps of the older program: everything stands still, a guard watches, the other program is executed.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use crashpoints::Point;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::settings::Settings;
use crate::supervisor::guard::Guard;
use crate::supervisor::handover::{self, FORM, HandedRole, Handover};
use crate::supervisor::{Supervisor, keeper};

/// Everything the next program needs, and the descriptors it is about.
pub(super) struct Handed<'a> {
    supervisor: &'a Supervisor,
    requests: &'a OwnedFd,
    client: &'a UnixStream,
    complaints: &'a OwnedFd,
    roles: Vec<(&'static str, keeper::Handed)>,
}

impl<'a> Handed<'a> {
    /// Gathers it. From now on no role and no router is started, until [`Supervisor::resume`].
    pub(super) async fn of(
        supervisor: &'a Supervisor,
        requests: &'a OwnedFd,
        client: &'a UnixStream,
    ) -> io::Result<Self> {
        let complaints = supervisor.complaints.as_ref().ok_or_else(|| io::Error::other("control has no pipe"))?;
        let routing = supervisor.routing.as_ref().ok_or_else(|| io::Error::other("nobody keeps the router"))?;
        routing.still().await?;
        let mut roles = vec![];
        for keeper in &supervisor.keepers {
            roles.push((keeper.name, keeper.hand().await?));
        }
        Ok(Self { supervisor, requests, client, complaints, roles })
    }

    /// Becomes the program, which reads `settings`; the guard goes on with `ours`. Comes back only if that fails, with
    /// everything as it was.
    pub(super) async fn become_program(&self, program: &Path, settings: &Value, ours: &Settings) -> io::Error {
        let fds = self.fds();
        let error = match self.try_to_become(&fds, program, settings, ours).await {
            Ok(error) | Err(error) => error,
        };
        // What stays open in a child that starts now is closed by the next exec; nothing else can be done about it.
        _ = handover::hand_on(&fds, false);
        error
    }

    /// An error before the program could be executed, or else the one of executing it.
    async fn try_to_become(
        &self,
        fds: &[BorrowedFd<'_>],
        program: &Path,
        settings: &Value,
        ours: &Settings,
    ) -> io::Result<io::Error> {
        handover::hand_on(fds, true)?;
        let back = self.handover(serde_json::to_value(ours)?);
        let guard = Guard::start(&back, &self.supervisor.layout.in_run("guard.json")).await?;
        let error = match self.execute(&guard, program, settings) {
            Ok(error) | Err(error) => error,
        };
        // Let go of without a word, it would take this process for one that failed.
        guard.dismiss().await?;
        Ok(error)
    }

    fn execute(&self, guard: &Guard, program: &Path, settings: &Value) -> io::Result<io::Error> {
        let file = self.supervisor.layout.in_run("handover.json");
        let forth = Handover { partner: Some(guard.handed()), ..self.handover(settings.clone()) };
        forth.write(&file)?;
        handover::hand_on(&[guard.socket().as_fd()], true)?;
        guard.stand_in();
        crashpoints::reach(Point::UpgradeGuarded);
        let error = handover::become_program(program, &file);
        std::fs::remove_file(file)?;
        Ok(error)
    }

    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let supervisor = self.supervisor;
        let mut fds = vec![supervisor.lock.as_fd(), supervisor.lifeline.0.as_fd(), supervisor.lifeline.1.as_fd()];
        fds.extend([self.complaints.as_fd(), self.requests.as_fd(), self.client.as_fd()]);
        fds.extend(handover::borrowed(&supervisor.listeners));
        for (_, role) in &self.roles {
            fds.extend(role.process.as_ref().map(|(_, handle)| handle.as_fd()));
            fds.extend(handover::borrowed(&role.sockets));
        }
        fds
    }

    fn handover(&self, settings: Value) -> Handover {
        let supervisor = self.supervisor;
        let number = |fd: &OwnedFd| -> RawFd { fd.as_raw_fd() };
        let roles = self.roles.iter().map(|(name, role)| HandedRole {
            name: (*name).to_owned(),
            process: role.process.as_ref().map(|(pid, handle)| (*pid, number(handle))),
            sockets: handover::numbers(&role.sockets),
        });
        Handover {
            form: FORM,
            process: std::process::id(),
            settings,
            lock: supervisor.lock.as_raw_fd(),
            lifeline: (number(&supervisor.lifeline.0), number(&supervisor.lifeline.1)),
            complaints: number(self.complaints),
            requests: number(self.requests),
            client: Some(self.client.as_raw_fd()),
            listeners: handover::numbers(&supervisor.listeners),
            roles: roles.collect(),
            partner: None,
            failed: None,
        }
    }
}

impl Supervisor {
    /// Goes on behind [`Handed::of`].
    pub(super) async fn resume(&self) {
        for keeper in &self.keepers {
            keeper.resume().await;
        }
        if let Some(routing) = &self.routing {
            routing.resume().await;
        }
    }
}
