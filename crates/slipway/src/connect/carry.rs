//! The agent's work: what connects to the loopback is carried to the platform, byte for byte.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::dial::Dialer;
use super::error::Error;
use crate::printer;

/// Connections carried at a time; what comes beyond waits in the socket's queue.
const MOST: usize = 256;
/// Pauses before the platform is tried again: doubled from the first to the last.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How long a client waits for a platform that is away, as over a change of networks; then its connection is closed.
const PATIENCE: Duration = Duration::from_secs(15);

/// Carries connections until it is dropped.
pub(crate) async fn serve(listener: TcpListener, dialer: Dialer) {
    let places = Arc::new(Semaphore::new(MOST));
    let agent = Arc::new(Agent { dialer, is_away: AtomicBool::new(false) });
    loop {
        // Nobody closes it.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, _)) => {
                let agent = Arc::clone(&agent);
                tokio::spawn(async move {
                    agent.carry(client).await;
                    drop(place);
                });
            }
            Err(error) => {
                printer::warn(format!("cannot accept a connection: {error}"));
                sleep(PAUSE.0).await;
            }
        }
    }
}

struct Agent {
    dialer: Dialer,
    /// Whether the last try to reach the platform failed; told when it changes, not each time.
    is_away: AtomicBool,
}

impl Agent {
    async fn carry(&self, mut client: TcpStream) {
        let platform = tokio::select! {
            platform = self.reach() => platform,
            () = left(&client) => return,
        };
        let Some(mut platform) = platform else { return };
        if client.set_nodelay(true).is_err() {
            return;
        }
        match copy_bidirectional(&mut client, &mut platform).await {
            // A reset stays one: a clean end would look like the end of an answer.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                // Without it the end is only less telling.
                _ = rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO));
            }
            // The other side is told as well as can be.
            _ => {
                _ = client.shutdown().await;
                _ = platform.shutdown().await;
            }
        }
    }

    async fn reach(&self) -> Option<tokio_rustls::client::TlsStream<TcpStream>> {
        let (begun, mut pause) = (Instant::now(), PAUSE.0);
        loop {
            let error = match self.dialer.dial().await {
                Ok(platform) => {
                    if self.is_away.swap(false, Ordering::SeqCst) {
                        printer::say("the platform is reached again");
                    }
                    return Some(platform);
                }
                Err(error) => error,
            };
            if !self.is_away.swap(true, Ordering::SeqCst) {
                printer::fail(&error);
            }
            let may_pass = matches!(error, Error::Unreachable(..) | Error::Handshake(..));
            if !may_pass || begun.elapsed() > PATIENCE {
                return None;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }
}

/// Comes back when a client that said nothing yet is gone.
async fn left(client: &TcpStream) {
    loop {
        match client.peek(&mut [0]).await {
            Ok(0) | Err(_) => return,
            // It said something and waits for the answer; what it says at the end is not seen from here.
            Ok(_) => std::future::pending().await,
        }
    }
}
