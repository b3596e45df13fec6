//! The engine's socket: who may speak, who is heard, and which part answers.
//!
//! One control process is heard at a time. Each names itself by the moment it began (its epoch); a newer one takes the
//! place of an older one, never the other way round, so that two of them cannot both give orders. Requests are carried
//! out side by side and answered in the order in which they finish.

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::{Event, FromEngine, Refusal, Reply, Request, ToEngine, VERSION};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use wire::{Connection, Receiver, Sender};

use crate::Parts;

/// How many answers and events may wait to be sent before those who have more wait.
const QUEUE: usize = 256;
/// How many requests are carried out at once; more wait unread.
const REQUESTS: usize = 128;
/// How long a connection may take to say hello.
const HELLO: Duration = Duration::from_secs(5);
/// Pause after a connection could not be taken: out of descriptors, most likely, and some will be free soon.
const NO_DESCRIPTOR: Duration = Duration::from_millis(50);

type Outgoing = (FromEngine, Vec<OwnedFd>);

/// The control process that is heard: its epoch, and what tells its connection that a newer one came.
#[derive(Debug, Default)]
struct Seat {
    holder: Mutex<Option<(i64, watch::Sender<bool>)>>,
}

impl Seat {
    /// Takes the seat, unless somebody newer has it. The receiver turns true when the seat is lost.
    fn take(&self, epoch: i64) -> Option<watch::Receiver<bool>> {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, lost)) = &*holder {
            // A holder that left has no receiver any more.
            if *before > epoch && lost.receiver_count() > 0 {
                return None;
            }
            lost.send_replace(true);
        }
        let (lost, is_lost) = watch::channel(false);
        *holder = Some((epoch, lost));
        Some(is_lost)
    }
}

/// Answers on a socket for ever.
pub(crate) async fn serve(listener: UnixListener, parts: Arc<Parts>, control_uid: u32) -> Infallible {
    let seat = Arc::new(Seat::default());
    loop {
        let Ok(connection) = Connection::new(accept(&listener).await) else { continue };
        let uid = connection.peer().uid;
        if uid != 0 && uid != control_uid {
            tracing::warn!(peer.uid = uid, "somebody else than the control process connected to the engine");
            continue;
        }
        let (parts, seat) = (Arc::clone(&parts), Arc::clone(&seat));
        tokio::spawn(async move {
            if let Err(error) = converse(connection, parts, &seat).await {
                tracing::warn!(%error, "a connection to the engine failed");
            }
        });
    }
}

/// The next connection. One that cannot be taken does not end the engine.
async fn accept(listener: &UnixListener) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::error!(%error, "could not take a connection to the engine");
                tokio::time::sleep(NO_DESCRIPTOR).await;
            }
        }
    }
}

/// One connection, from its hello to its end.
async fn converse(connection: Connection, parts: Arc<Parts>, seat: &Seat) -> Result<(), wire::Error> {
    let Connection { mut sender, mut receiver, .. } = connection;
    let mut lost = match introduced(&mut receiver, seat).await? {
        Some((sequence, Ok(lost))) => {
            sender.send(&FromEngine::Reply { sequence, reply: Ok(Reply::Done) }, &[]).await?;
            lost
        }
        Some((sequence, Err(refusal))) => {
            return sender.send(&FromEngine::Reply { sequence, reply: Err(refusal) }, &[]).await;
        }
        None => return Ok(()),
    };
    let (outgoing, queue) = mpsc::channel(QUEUE);
    let events = parts.instances.events();
    tokio::select! {
        ended = requests(&mut receiver, parts, &outgoing) => ended,
        ended = send(sender, queue) => ended,
        () = forward(events, &outgoing) => Ok(()),
        _ = lost.wait_for(|lost| *lost) => Ok(()),
    }
}

type Seated = Result<watch::Receiver<bool>, Refusal>;

/// [`hello`], for as long as it may take.
async fn introduced(receiver: &mut Receiver, seat: &Seat) -> Result<Option<(u64, Seated)>, wire::Error> {
    tokio::time::timeout(HELLO, hello(receiver, seat)).await.unwrap_or_else(|_| {
        tracing::warn!("somebody connected to the engine and did not say hello");
        Ok(None)
    })
}

/// Reads the first frame and finds the speaker's place; `None` if the peer left at once.
async fn hello(receiver: &mut Receiver, seat: &Seat) -> Result<Option<(u64, Seated)>, wire::Error> {
    let Some((ToEngine { sequence, request }, _)) = receiver.receive().await? else { return Ok(None) };
    let seated = match request {
        Request::Hello { version: VERSION, epoch } => {
            seat.take(epoch).ok_or_else(|| Refusal::Invalid("a newer control process is connected".to_owned()))
        }
        Request::Hello { version, .. } => Err(Refusal::Invalid(format!("version {version} is not {VERSION}"))),
        _ => Err(Refusal::Invalid("the first request must be a hello".to_owned())),
    };
    Ok(Some((sequence, seated)))
}

/// Reads requests and carries each out on its own. What was begun is finished even if the asker leaves.
async fn requests(
    receiver: &mut Receiver,
    parts: Arc<Parts>,
    outgoing: &mpsc::Sender<Outgoing>,
) -> Result<(), wire::Error> {
    let places = Arc::new(Semaphore::new(REQUESTS));
    loop {
        // It is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        let Some((ToEngine { sequence, request }, fds)) = receiver.receive().await? else { return Ok(()) };
        let (parts, outgoing) = (Arc::clone(&parts), outgoing.clone());
        tokio::spawn(async move {
            let (reply, fds) = match carry_out(&parts, request, fds).await {
                Ok((reply, fds)) => (Ok(reply), fds),
                Err(refusal) => (Err(refusal), vec![]),
            };
            drop(place);
            // Fails only if the asker left.
            drop(outgoing.send((FromEngine::Reply { sequence, reply }, fds)).await);
        });
    }
}

async fn send(mut sender: Sender, mut queue: mpsc::Receiver<Outgoing>) -> Result<(), wire::Error> {
    while let Some((message, fds)) = queue.recv().await {
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        sender.send(&message, &fds).await?;
    }
    Ok(())
}

/// Hands events on; ends, and with it the connection, when this one is too slow, so that its client looks anew.
async fn forward(mut events: broadcast::Receiver<Event>, outgoing: &mpsc::Sender<Outgoing>) {
    while let Ok(event) = events.recv().await {
        if outgoing.send((FromEngine::Event(event), vec![])).await.is_err() {
            return;
        }
    }
}

async fn carry_out(parts: &Parts, request: Request, fds: Vec<OwnedFd>) -> Result<(Reply, Vec<OwnedFd>), Refusal> {
    let Parts { instances, images, repositories } = parts;
    let reply = match request {
        Request::Hello { .. } => return Err(Refusal::Invalid("a second hello".to_owned())),
        Request::Start(spec) => Reply::Started(instances.start(*spec, fds).await?),
        Request::Stop { id, grace_ms } => done(instances.stop(id, grace_ms).await)?,
        Request::Remove { id } => done(instances.remove(id).await)?,
        Request::List => Reply::Instances(instances.list()),
        Request::Usage => Reply::Usage(instances.usage().await?),
        Request::Output { id } => return Ok((Reply::Done, vec![instances.output(id).await?])),
        Request::Attach { id } => return Ok((Reply::Done, vec![instances.attach(id).await?])),
        Request::Exec { id, terminal } => {
            let [launch] = exactly(fds)?;
            return Ok((Reply::Done, vec![instances.exec(id, terminal, launch).await?]));
        }
        Request::Pack { prefix, limit_bytes } => {
            let [tar, blob] = exactly(fds)?;
            Reply::Packed(images.pack(&prefix, limit_bytes, tar, blob).await?)
        }
        Request::Import { digest } => {
            let [blob] = exactly(fds)?;
            done(images.import(&digest, blob).await)?
        }
        Request::Missing { layers } => Reply::Missing(images.missing(&layers)),
        Request::Layers { after } => Reply::Layers(images.layers(after.as_ref())?),
        Request::Discard { layers } => {
            let instances = instances.clone();
            Reply::Discarded(images.discard(layers, move || instances.layers_in_use()).await?)
        }
        Request::Stacks => Reply::Stacks(images.stacks()),
        Request::CreateRepository { app } => done(repositories.create(app).await)?,
        Request::RemoveRepository { app } => done(repositories.remove(app).await)?,
        Request::Repositories => Reply::Repositories(repositories.list()?),
        Request::TidyRepository { app } => done(repositories.tidy(app).await)?,
        Request::Git { app, service, protocol } => {
            Reply::GitExited(repositories.run(app, service, protocol, fds).await?)
        }
    };
    Ok((reply, vec![]))
}

fn done(result: Result<(), Refusal>) -> Result<Reply, Refusal> {
    result.map(|()| Reply::Done)
}

fn exactly<const COUNT: usize>(fds: Vec<OwnedFd>) -> Result<[OwnedFd; COUNT], Refusal> {
    fds.try_into().map_err(|fds: Vec<OwnedFd>| {
        Refusal::Invalid(format!("{} descriptors came where {COUNT} are needed", fds.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_cannot_be_taken_ends_nothing() {
        // A socket that does not listen: whoever asks it for a connection gets an error.
        let (stream, peer) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(peer);
        stream.set_nonblocking(true).unwrap();
        let listener = UnixListener::from_std(OwnedFd::from(stream).into()).unwrap();
        assert!(listener.accept().await.is_err());
        assert!(tokio::time::timeout(HELLO, accept(&listener)).await.is_err(), "it is tried again and again");
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_say_hello_is_not_waited_for() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut connection = Connection::new(ours).unwrap();
        assert!(introduced(&mut connection.receiver, &Seat::default()).await.unwrap().is_none());
    }

    #[test]
    fn the_newest_epoch_has_the_seat() {
        let seat = Seat::default();
        let first = seat.take(5).unwrap();
        let second = seat.take(7).unwrap();
        assert!(*first.borrow());
        assert!(!*second.borrow());
        assert!(seat.take(6).is_none());
        let again = seat.take(7).unwrap();
        assert!(*second.borrow());
        drop((first, second, again));
        assert!(seat.take(6).is_some(), "a holder that left keeps nobody out");
    }
}
