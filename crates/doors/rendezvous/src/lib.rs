//! The rendezvous: a client comes with a secret and meets the program it was made for.
//!
//! Knows the router's question and the room's answer; knows neither the client, whose bytes the router passes on
//! (`doors/router`, `rendezvous`), nor the program, whose shim has the other end of its streams. This door only hands
//! that end over, so that a session outlives control.
//!
//! ```text
//! client ──TLS──▶ router ──Join(secret)──▶ this door ──▶ rooms/dynos ──▶ engine ──▶ shim
//!                   ◀────Joined + socket──────┘                                       │
//!                   ◀════════════════════════ bytes, both ways ══════════════════════▶┘
//! ```

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use dynos::{Dynos, Unjoined};
use routes_table::rendezvous::{Answer, Join};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use wire::Connection;

/// How long a router may take to say what it wants.
const QUESTION: Duration = Duration::from_secs(5);
/// How long to wait for descriptors or memory before the next connection is taken.
const PAUSE: Duration = Duration::from_millis(50);
/// How many may wait for their program at a time; more wait to be heard.
const WAITING: usize = 256;

/// Answers routers until the socket fails. Nobody but `router_uid` and root is heard.
pub async fn serve(listener: UnixListener, dynos: Dynos, router_uid: u32) -> std::io::Result<()> {
    let places = Arc::new(Semaphore::new(WAITING));
    loop {
        // It is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        let connection = match listener.accept().await.and_then(|(stream, _)| Connection::new(stream)) {
            Ok(connection) => connection,
            Err(error) => {
                tracing::error!(%error, "could not take a router's connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let uid = connection.peer().uid;
        if uid != router_uid && uid != 0 {
            tracing::warn!(peer.uid = uid, "somebody else than a router came to the rendezvous");
            continue;
        }
        let dynos = dynos.clone();
        tokio::spawn(async move {
            if let Err(error) = introduce(connection, &dynos).await {
                tracing::debug!(%error, "a router left the rendezvous");
            }
            drop(place);
        });
    }
}

/// One connection: one question, one answer.
async fn introduce(connection: Connection, dynos: &Dynos) -> Result<(), wire::Error> {
    let Connection { mut sender, mut receiver, .. } = connection;
    let Ok(question) = tokio::time::timeout(QUESTION, receiver.receive::<Join>()).await else { return Ok(()) };
    let Some((Join { secret }, _)) = question? else { return Ok(()) };
    match dynos.join(secret.reveal()).await {
        Ok(joined) => {
            let answer = Answer::Joined { is_terminal: joined.is_terminal };
            sender.send(&answer, &[joined.streams.as_fd()]).await
        }
        Err(unjoined) => sender.send(&told(&unjoined), &[]).await,
    }
}

/// What the client is told.
fn told(unjoined: &Unjoined) -> Answer {
    match unjoined {
        Unjoined::Unknown => Answer::Unknown,
        Unjoined::NotStarted | Unjoined::Gone => Answer::Failed { reason: format!("{unjoined}; its log has more") },
        Unjoined::Store(_) | Unjoined::Engine(_) => {
            tracing::error!(error = unjoined as &dyn std::error::Error, "a client could not meet its program");
            Answer::Failed { reason: unjoined.to_string() }
        }
    }
}
