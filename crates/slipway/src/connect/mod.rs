//! `slipway connect URL`: an agent for a machine elsewhere.
//!
//! The official command talks to Heroku's own hosts and to the loopback, and to nobody else. The agent listens on this
//! machine's loopback and carries each connection, byte for byte, to the front door of a platform, through TLS that
//! trusts the platform's own authority alone. What a client says and hears is what it would on the platform's machine.
//!
//! Knows nothing of what it carries, and holds no token.

mod carry;
mod dial;
mod env;
mod error;
mod known;
mod url;

use std::io::{self, BufRead, IsTerminal};
use std::net::SocketAddr;

use clap::{Args, Subcommand};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use error::Error;

use self::dial::Dialer;
use self::known::Known;
use self::url::PlatformUrl;
use crate::fingerprint::Fingerprint;
use crate::printer;

/// What is asked for.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Connect {
    #[command(subcommand)]
    command: Option<Command>,

    /// The platform: https://HOST or https://HOST:PORT
    #[arg(value_name = "URL", required = true)]
    url: Option<PlatformUrl>,

    /// Where to listen; on the loopback, as the official command accepts nothing else
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5080", value_parser = loopback)]
    listen: SocketAddr,

    /// The fingerprint of the platform's authority, as `slipway doctor` prints it there; without it you are asked the
    /// first time
    #[arg(long, value_name = "SHA256")]
    fingerprint: Option<Fingerprint>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the exports that make heroku, git, curl and node talk to the platform through the agent
    #[command(after_help = "Use it so: eval \"$(slipway connect env)\"")]
    Env {
        /// Which platform, if several were connected to
        url: Option<PlatformUrl>,
    },
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "give ADDR:PORT, such as 127.0.0.1:5080".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("only on the loopback: whoever reaches the agent reaches the platform as you do".to_owned())
    }
}

/// Runs the agent until Ctrl-C, or prints the exports.
pub(crate) async fn run(connect: Connect) -> Result<(), Error> {
    match (connect.command, connect.url) {
        (Some(Command::Env { url }), _) => env::print(url.as_ref()),
        (None, Some(url)) => agent(url, connect.listen, connect.fingerprint).await,
        // The command line refuses it before.
        (None, None) => Err(Error::NonePlatform),
    }
}

async fn agent(url: PlatformUrl, listen: SocketAddr, given: Option<Fingerprint>) -> Result<(), Error> {
    let known = Known::of(&url)?;
    let authority = settle(&url, &known, given).await?;
    let fingerprint = Fingerprint::of(&authority);
    let dialer = Dialer::new(url.clone(), authority)?;
    let listener = TcpListener::bind(listen).await.map_err(|error| Error::Listen(listen, error))?;
    let listen = listener.local_addr().map_err(|error| Error::Listen(listen, error))?;
    known.listens(listen)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| Error::System("listen for signals", error))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| Error::System("listen for signals", error))?;
    // Said now, and not when somebody's first command hangs.
    match dialer.dial().await {
        Ok(_) => {}
        Err(error @ (Error::Unreachable(..) | Error::Handshake(..))) => {
            printer::fail(&error);
            printer::warn("it is tried again for each connection");
        }
        Err(error) => return Err(error),
    }
    printer::say(format!("{url} is at http://{listen} now, until Ctrl-C (authority {fingerprint})"));
    printer::say(format!("in another terminal: eval \"$(slipway connect env {url})\", then heroku login"));
    tokio::select! {
        () = carry::serve(listener, dialer) => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// The authority to trust: the one that is known, the one whose fingerprint was given, or the one a person agrees to.
async fn settle(
    url: &PlatformUrl,
    known: &Known,
    given: Option<Fingerprint>,
) -> Result<CertificateDer<'static>, Error> {
    let trusted = known.authority()?;
    match (trusted, given) {
        (Some(authority), None) => Ok(authority),
        (Some(authority), Some(given)) if Fingerprint::of(&authority) == given => Ok(authority),
        (_, Some(given)) => {
            let authority = dial::look(url).await?;
            let shown = Fingerprint::of(&authority);
            if shown != given {
                return Err(Error::Changed { url: url.to_string(), trusted: given, shown });
            }
            known.trust(url, &authority).map(|()| authority)
        }
        (None, None) => {
            let authority = dial::look(url).await?;
            ask(url, Fingerprint::of(&authority))?;
            known.trust(url, &authority).map(|()| authority)
        }
    }
}

/// Asks the person at the terminal whether this is the platform they mean.
fn ask(url: &PlatformUrl, shown: Fingerprint) -> Result<(), Error> {
    let mut input = io::stdin().lock();
    if !input.is_terminal() {
        return Err(Error::Unknown { url: url.to_string(), shown });
    }
    printer::say(format!("{url} is not known yet. Its authority has the fingerprint\n\n    {shown}\n"));
    printer::say("`slipway doctor` prints it on the platform's machine. Trust it from now on? Type yes:");
    let mut answer = String::new();
    input.read_line(&mut answer).map_err(|error| Error::System("read the answer", error))?;
    if answer.trim().eq_ignore_ascii_case("yes") { Ok(()) } else { Err(Error::Declined) }
}
