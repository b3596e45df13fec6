//! The rooms' handle to the engine's process.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use inside_contract::Launch;
use tokio::sync::{broadcast, mpsc, oneshot};
use vocabulary::{AppId, Digest, DynoId};
use wire::Connection;

use crate::{
    Discarded, Event, FromEngine, GitService, InstalledStack, InstanceSpec, InstanceStatus, Packed, Refusal, Reply,
    Request, Started, Terminal, ToEngine, Usage, VERSION,
};

/// How many requests may wait for the engine before callers wait for a place.
const QUEUE: usize = 256;
/// How many events a slow listener may lag behind before it is told to look anew ([`Event::Connected`]'s work).
const EVENTS: usize = 4096;
/// Pause between two attempts to reach an engine that is away.
const RETRY: Duration = Duration::from_millis(50);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine's process went away before it answered; the request may or may not have been carried out.
    #[error("the engine went away before it answered")]
    Away,
    /// The engine said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The memory for a launch could not be made.
    #[error("could not hand the launch to the engine")]
    Launch(#[source] std::io::Error),
    /// The engine answered something else than was asked.
    #[error("the engine answered out of turn")]
    OutOfTurn,
}

type Answer = Result<(Reply, Vec<OwnedFd>), Error>;

struct Call {
    request: Request,
    fds: Vec<OwnedFd>,
    answer: oneshot::Sender<Answer>,
}

/// A handle to the engine; clones share one connection.
#[derive(Debug, Clone)]
pub struct Engine {
    calls: mpsc::Sender<Call>,
    events: broadcast::Sender<Event>,
}

/// The descriptors of a git child.
#[derive(Debug)]
pub struct Git {
    /// Its standard input.
    pub stdin: OwnedFd,
    /// Its standard output.
    pub stdout: OwnedFd,
    /// Its standard error.
    pub stderr: OwnedFd,
    /// For a push: what the hook writes to (3) and reads from (4).
    pub hook: Option<(OwnedFd, OwnedFd)>,
}

impl Engine {
    /// A handle to the engine behind the socket `path`. The returned future is the connection; run it until it ends,
    /// which it does when the last handle is dropped.
    pub fn new(path: PathBuf, epoch: i64) -> (Self, impl Future<Output = ()> + Send) {
        let (calls, queue) = mpsc::channel(QUEUE);
        let (events, _) = broadcast::channel(EVENTS);
        let engine = Self { calls, events: events.clone() };
        (engine, keep_connected(path, epoch, queue, events))
    }

    /// Events from now on. A receiver that lags must [`Engine::list`].
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Starts an instance. `fds` are the descriptors for `spec.fds`, in order.
    pub async fn start(&self, spec: InstanceSpec, launch: &Launch, fds: Vec<OwnedFd>) -> Result<Started, Error> {
        let launch = serde_json::to_vec(launch).map_err(|error| Error::Launch(error.into()))?;
        let mut all = vec![wire::seal(&launch).map_err(Error::Launch)?];
        all.extend(fds);
        match self.call(Request::Start(Box::new(spec)), all).await? {
            (Reply::Started(started), _) => Ok(started),
            _ => Err(Error::OutOfTurn),
        }
    }

    /// SIGTERM now, SIGKILL after `grace`. The end arrives as [`Event::Exited`].
    pub async fn stop(&self, id: DynoId, grace: Duration) -> Result<(), Error> {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.done(Request::Stop { id, grace_ms }, vec![]).await
    }

    /// Forgets an ended instance and frees its address.
    pub async fn remove(&self, id: DynoId) -> Result<(), Error> {
        self.done(Request::Remove { id }, vec![]).await
    }

    /// Every instance of this engine.
    pub async fn list(&self) -> Result<Vec<InstanceStatus>, Error> {
        match self.call(Request::List, vec![]).await? {
            (Reply::Instances(instances), _) => Ok(instances),
            _ => Err(Error::OutOfTurn),
        }
    }

    /// What every running instance uses now.
    pub async fn usage(&self) -> Result<Vec<Usage>, Error> {
        match self.call(Request::Usage, vec![]).await? {
            (Reply::Usage(usage), _) => Ok(usage),
            _ => Err(Error::OutOfTurn),
        }
    }

    /// The ring an instance's output goes to (`loglines::ring`).
    pub async fn output(&self, id: DynoId) -> Result<OwnedFd, Error> {
        self.call(Request::Output { id }, vec![]).await?.1.pop().ok_or(Error::OutOfTurn)
    }

    /// The other end of an attached instance's standard streams; can be had once.
    pub async fn attach(&self, id: DynoId) -> Result<OwnedFd, Error> {
        self.call(Request::Attach { id }, vec![]).await?.1.pop().ok_or(Error::OutOfTurn)
    }

    /// Runs one more program in a running instance; the other end of its standard streams.
    pub async fn exec(&self, id: DynoId, terminal: Option<Terminal>, launch: &Launch) -> Result<OwnedFd, Error> {
        let launch = serde_json::to_vec(launch).map_err(|error| Error::Launch(error.into()))?;
        let launch = wire::seal(&launch).map_err(Error::Launch)?;
        self.call(Request::Exec { id, terminal }, vec![launch]).await?.1.pop().ok_or(Error::OutOfTurn)
    }

    /// Makes a layer of the tar read from `tar`, writing its durable form to `blob`.
    pub async fn pack(&self, prefix: &str, limit_bytes: u64, tar: OwnedFd, blob: OwnedFd) -> Result<Packed, Error> {
        match self.call(Request::Pack { prefix: prefix.to_owned(), limit_bytes }, vec![tar, blob]).await? {
            (Reply::Packed(packed), _) => Ok(packed),
            _ => Err(Error::OutOfTurn),
        }
    }

    /// Makes the host's image of a layer from its blob.
    pub async fn import(&self, digest: Digest, blob: OwnedFd) -> Result<(), Error> {
        self.done(Request::Import { digest }, vec![blob]).await
    }

    /// Which of these layers the host has no image of.
    pub async fn missing(&self, layers: Vec<Digest>) -> Result<Vec<Digest>, Error> {
        match self.call(Request::Missing { layers }, vec![]).await? {
            (Reply::Missing(layers), _) => Ok(layers),
            _ => Err(Error::OutOfTurn),
        }
    }

    /// The layers the host has images of, in order, behind `after`; at most [`crate::PAGE`].
    pub async fn layers(&self, after: Option<Digest>) -> Result<Vec<Digest>, Error> {
        match self.call(Request::Layers { after }, vec![]).await? {
            (Reply::Layers(layers), _) => Ok(layers),
            _ => Err(Error::OutOfTurn),
        }
    }

    /// Deletes the images of at most [`crate::PAGE`] layers; one that an instance stands on stays.
    pub async fn discard(&self, layers: Vec<Digest>) -> Result<Discarded, Error> {
        match self.call(Request::Discard { layers }, vec![]).await? {
            (Reply::Discarded(discarded), _) => Ok(discarded),
            _ => Err(Error::OutOfTurn),
        }
    }

    /// The installed stack images.
    pub async fn stacks(&self) -> Result<Vec<InstalledStack>, Error> {
        match self.call(Request::Stacks, vec![]).await? {
            (Reply::Stacks(stacks), _) => Ok(stacks),
            _ => Err(Error::OutOfTurn),
        }
    }

    /// Makes an empty repository for an app, if it has none.
    pub async fn create_repository(&self, app: AppId) -> Result<(), Error> {
        self.done(Request::CreateRepository { app }, vec![]).await
    }

    /// Deletes an app's repository.
    pub async fn remove_repository(&self, app: AppId) -> Result<(), Error> {
        self.done(Request::RemoveRepository { app }, vec![]).await
    }

    /// The apps that have a repository.
    pub async fn repositories(&self) -> Result<Vec<AppId>, Error> {
        match self.call(Request::Repositories, vec![]).await? {
            (Reply::Repositories(apps), _) => Ok(apps),
            _ => Err(Error::OutOfTurn),
        }
    }

    /// Packs an app's repository and deletes what nothing in it leads to, if there is enough of it.
    pub async fn tidy_repository(&self, app: AppId) -> Result<(), Error> {
        self.done(Request::TidyRepository { app }, vec![]).await
    }

    /// Runs git on an app's repository; answers its exit status when it ended.
    pub async fn git(&self, app: AppId, service: GitService, protocol: Option<String>, git: Git) -> Result<i32, Error> {
        let mut fds = vec![git.stdin, git.stdout, git.stderr];
        if let Some((writes, reads)) = git.hook {
            fds.extend([writes, reads]);
        }
        match self.call(Request::Git { app, service, protocol }, fds).await? {
            (Reply::GitExited(status), _) => Ok(status),
            _ => Err(Error::OutOfTurn),
        }
    }

    async fn done(&self, request: Request, fds: Vec<OwnedFd>) -> Result<(), Error> {
        match self.call(request, fds).await? {
            (Reply::Done, _) => Ok(()),
            _ => Err(Error::OutOfTurn),
        }
    }

    async fn call(&self, request: Request, fds: Vec<OwnedFd>) -> Answer {
        let (answer, wait) = oneshot::channel();
        self.calls.send(Call { request, fds, answer }).await.map_err(|_| Error::Away)?;
        wait.await.map_err(|_| Error::Away)?
    }
}

/// Connects again and again until no handle is left.
async fn keep_connected(path: PathBuf, epoch: i64, mut queue: mpsc::Receiver<Call>, events: broadcast::Sender<Event>) {
    loop {
        match Connection::connect(&path).await {
            Ok(connection) => {
                if serve(connection, epoch, &mut queue, &events).await == Ended::NoHandles {
                    return;
                }
                tracing::warn!("the engine went away; connecting again");
            }
            Err(error) => tracing::debug!(%error, "the engine is not reachable yet"),
        }
        if queue.is_closed() {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

#[derive(PartialEq)]
enum Ended {
    EngineAway,
    NoHandles,
}

/// One connection's life. Whatever is unanswered at its end is answered with [`Error::Away`] by being dropped.
async fn serve(
    connection: Connection,
    epoch: i64,
    queue: &mut mpsc::Receiver<Call>,
    events: &broadcast::Sender<Event>,
) -> Ended {
    let Connection { mut sender, mut receiver, .. } = connection;
    let hello = ToEngine { sequence: 0, request: Request::Hello { version: VERSION, epoch } };
    if sender.send(&hello, &[]).await.is_err() {
        return Ended::EngineAway;
    }
    // Nobody listening for events is fine: send fails only then.
    drop(events.send(Event::Connected));
    let mut waiting = Waiting::new();
    let mut sequence = 0;
    loop {
        tokio::select! {
            call = queue.recv() => {
                let Some(call) = call else { return Ended::NoHandles };
                sequence += 1;
                if let Err(error) = ask(&mut sender, sequence, call, &mut waiting).await {
                    tracing::warn!(%error, "could not send a request to the engine");
                    return Ended::EngineAway;
                }
            }
            frame = receiver.receive::<FromEngine>() => match frame {
                Ok(Some((frame, fds))) => {
                    if let Err(refusal) = hear(frame, fds, &mut waiting, events) {
                        tracing::error!(%refusal, "the engine refuses this process");
                        return Ended::EngineAway;
                    }
                }
                Ok(None) => return Ended::EngineAway,
                Err(error) => {
                    tracing::warn!(%error, "the connection to the engine broke");
                    return Ended::EngineAway;
                }
            },
        }
    }
}

/// Callers by the number of their request.
type Waiting = HashMap<u64, oneshot::Sender<Answer>>;

async fn ask(
    sender: &mut wire::Sender,
    sequence: u64,
    Call { request, fds, answer }: Call,
    waiting: &mut Waiting,
) -> Result<(), wire::Error> {
    let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    sender.send(&ToEngine { sequence, request }, &borrowed).await?;
    waiting.insert(sequence, answer);
    Ok(())
}

/// Takes a frame of the engine's to whoever it is for; the error is its answer to our hello, number 0.
fn hear(
    frame: FromEngine,
    fds: Vec<OwnedFd>,
    waiting: &mut Waiting,
    events: &broadcast::Sender<Event>,
) -> Result<(), Refusal> {
    match frame {
        FromEngine::Reply { sequence: 0, reply } => return reply.map(drop),
        FromEngine::Reply { sequence, reply } => {
            if let Some(answer) = waiting.remove(&sequence) {
                // The caller may have gone; then nobody needs the answer.
                drop(answer.send(reply.map(|reply| (reply, fds)).map_err(Error::from)));
            }
        }
        FromEngine::Event(event) => drop(events.send(event)),
    }
    Ok(())
}
