//! One client connection: what it speaks, its requests one after another, and how it ends.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use vocabulary::AppId;

use crate::answer::Answer;
use crate::app;
use crate::connect::{self, Carried};
use crate::head::{self, Head};
use crate::host;
use crate::limits::Refusal;
use crate::outcome::Event;
use crate::pages::{self, Page};
use crate::platform;
use crate::rendezvous;
use crate::routes::Owner;
use crate::scan::Scan;
use crate::stream::{Client, Shared};
use crate::worker::Worker;

/// The first byte of a TLS handshake (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// How long, and how much in bytes, is still read of a client that is answered before it sent everything: closing at
/// once would reset the connection and take the answer with it.
const LINGER: (Duration, usize) = (Duration::from_secs(2), 1024 * 1024);
/// How long a client may take an answer that refuses it.
const REFUSAL: Duration = Duration::from_secs(10);

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Who serves it.
    pub(crate) worker: Rc<Worker>,
    /// Its socket.
    pub(crate) stream: Shared<Client>,
    /// What was read and not used yet; holds no memory between requests.
    pub(crate) buffer: BytesMut,
    /// The client's address.
    pub(crate) client: IpAddr,
    /// The port it came to.
    pub(crate) port: u16,
    /// `http` or `https`.
    pub(crate) protocol: &'static str,
    /// The name it gave in TLS.
    name: Option<String>,
    /// Whether a secret may come instead of a request: it speaks TLS and did not say that it speaks HTTP.
    may_be_rendezvous: bool,
    /// Whether there were too many connections when it came.
    pub(crate) is_surplus: bool,
    /// Its place among those that a `slipway connect` carries, if it is one.
    #[expect(dead_code, reason = "it is held until the connection ends")]
    carried: Option<connect::Place>,
}

/// What becomes of a connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It waits for another one.
    Reuse,
    /// It is closed once the client took what was written.
    Close,
    /// It is cut.
    Cut,
    /// It is reset, as a clean end would look like the end of the answer.
    Reset,
}

impl Next {
    /// After an answer that was written whole.
    pub(crate) fn after(reusable: bool) -> Self {
        if reusable { Self::Reuse } else { Self::Close }
    }

    /// In the middle of an answer. HTTP/1.0 has no chunks, so that its answers may end with the connection.
    pub(crate) fn cut(version: http::Version) -> Self {
        if version == http::Version::HTTP_10 { Self::Reset } else { Self::Cut }
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve(worker: Rc<Worker>, socket: TcpStream, is_surplus: bool) {
    let Some(mut connection) = open(worker, socket, is_surplus).await else { return };
    if connection.may_be_rendezvous
        && let Some(secret) = rendezvous::secret(&mut connection).await
    {
        return rendezvous::serve(&mut connection, secret).await;
    }
    let mut idle = connection.worker.timeouts.first_bytes;
    loop {
        let next = match connection.next_head(idle).await {
            Ok(Some(head)) => Box::pin(connection.request(head)).await,
            Ok(None) => Next::Cut,
            Err(refusal) => connection.refuse(refusal).await,
        };
        match next {
            Next::Reuse if !connection.is_surplus => idle = connection.worker.timeouts.keep_alive,
            Next::Reuse | Next::Close => return connection.close().await,
            Next::Cut => return,
            Next::Reset => return connection.stream.reset_on_close(),
        }
    }
}

/// Finds out what a connection speaks; `None` if it is nothing we do, or takes too long to say.
async fn open(worker: Rc<Worker>, socket: TcpStream, is_surplus: bool) -> Option<Connection> {
    let client = socket.peer_addr().ok()?.ip();
    let port = socket.local_addr().ok()?.port();
    socket.set_nodelay(true).ok()?;
    let mut first = [0];
    let peeked = tokio::select! {
        peeked = timeout(worker.timeouts.first_bytes, socket.peek(&mut first)) => peeked.ok()?.ok()?,
        () = worker.closing() => return None,
    };
    let mut carried = None;
    let (stream, Named { name, protocol: said }) = match first {
        _ if peeked == 0 => return None,
        [TLS_HANDSHAKE] => {
            let (stream, named) = handshake(&worker, socket).await?;
            if connect::is_chosen(stream.get_ref().1) {
                // Boxed, as its two sessions would otherwise make every connection's task larger.
                let (stream, named, place) = Box::pin(carry(&worker, stream)).await?;
                carried = Some(place);
                (stream, named)
            } else {
                (Client::Tls(Box::new(stream)), named)
            }
        }
        [byte] if may_begin_http(byte) => (Client::Plain(socket), Named::default()),
        _ => return None,
    };
    let protocol = if matches!(stream, Client::Tls(_) | Client::CarriedTls(_)) { "https" } else { "http" };
    let may_be_rendezvous = protocol == "https" && !said;
    let (stream, buffer) = (Shared::new(stream), BytesMut::new());
    Some(Connection { worker, stream, buffer, client, port, protocol, name, may_be_rendezvous, is_surplus, carried })
}

/// What a client said before it said anything.
#[derive(Debug, Default)]
struct Named {
    /// The host.
    name: Option<String>,
    /// Whether it named its protocol, which can only be HTTP.
    protocol: bool,
}

/// A method is a token; PostgreSQL and others begin with a control byte and would not understand a refusal.
fn may_begin_http(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte == b'\r'
}

async fn handshake<S>(worker: &Worker, socket: S) -> Option<(TlsStream<S>, Named)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let accepted = timeout(worker.timeouts.handshake, TlsAcceptor::from(Arc::clone(&worker.tls)).accept(socket)).await;
    let stream = accepted.ok()?.inspect_err(|error| tracing::debug!(%error, "a TLS handshake failed")).ok()?;
    let session = stream.get_ref().1;
    let named = Named { name: session.server_name().map(str::to_owned), protocol: session.alpn_protocol().is_some() };
    Some((stream, named))
}

/// What a `slipway connect` carries is taken for a connection of its own, by the same first byte.
async fn carry(worker: &Worker, stream: TlsStream<TcpStream>) -> Option<(Client, Named, connect::Place)> {
    let place = worker.carried.take()?;
    let mut carried = Carried::new(stream);
    let first = tokio::select! {
        first = timeout(worker.timeouts.first_bytes, carried.peek()) => first.ok()?.ok()??,
        () = worker.closing() => return None,
    };
    match first {
        TLS_HANDSHAKE => {
            let (stream, named) = handshake(worker, carried).await?;
            // One in another would be no use to anybody but those who look for the end of our memory.
            let nested = connect::is_chosen(stream.get_ref().1);
            (!nested).then(|| (Client::CarriedTls(Box::new(stream)), named, place))
        }
        byte if may_begin_http(byte) => Some((Client::Carried(Box::new(carried)), Named::default(), place)),
        _ => None,
    }
}

impl Connection {
    /// The next request's head; `None` when the client left or said nothing for `idle`, or the router shuts down.
    async fn next_head(&mut self, idle: Duration) -> Result<Option<Head>, Refusal> {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            let worker = Rc::clone(&self.worker);
            let read = tokio::select! {
                read = timeout(idle, self.stream.read(&mut self.buffer)) => read,
                () = worker.closing() => return Ok(None),
            };
            let Ok(Ok(1..)) = read else { return Ok(None) };
        }
        let mut scan = Scan::default();
        let deadline = Instant::now() + self.worker.timeouts.head;
        loop {
            if let Some(end) = scan.end(&self.buffer)? {
                return head::take(&mut self.buffer, end).map(Some);
            }
            match timeout_at(deadline, self.stream.read(&mut self.buffer)).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return Ok(None),
                Err(_) => return Err(Refusal::Slow),
            }
        }
    }

    /// Serves one request by the host it names.
    async fn request(&mut self, head: Head) -> Next {
        let host = head.host.as_ref().map(host::normal).unwrap_or_default();
        match self.worker.current.routes().owner(&host) {
            Owner::App(app) => app::serve(self, head, host, app).await,
            Owner::Platform => platform::serve(self, head).await,
            Owner::Nobody => self.say(&head, pages::no_such_app()).await,
        }
    }

    /// The app that the name given in TLS belongs to.
    pub(crate) fn named_app(&self) -> Option<AppId> {
        match self.worker.current.routes().owner(self.name.as_deref()?) {
            Owner::App(app) => Some(app.id),
            Owner::Platform | Owner::Nobody => None,
        }
    }

    /// How this connection's answer to a request is written.
    pub(crate) fn answer<'r>(&self, head: &'r Head, idle: Duration) -> Answer<'r> {
        let keep_alive = head.keep_alive && !self.worker.is_closing() && !self.is_surplus;
        let (stream, worker) = (self.stream.clone(), Rc::clone(&self.worker));
        Answer { stream, worker, method: &head.method, version: head.version, keep_alive, idle }
    }

    /// Answers a request with a page and without reading its body.
    async fn say(&mut self, head: &Head, page: Page) -> Next {
        let mut answer = self.answer(head, self.worker.timeouts.idle);
        answer.keep_alive &= head.framing.is_empty();
        let written = answer.page(page).await;
        Next::after(answer.keep_alive && written.is_ok())
    }

    /// Refuses what could not be read as a request.
    async fn refuse(&mut self, refusal: Refusal) -> Next {
        tracing::debug!(%refusal, client = %self.client, "refused a request");
        let (method, version) = (http::Method::GET, http::Version::HTTP_11);
        let (stream, worker) = (self.stream.clone(), Rc::clone(&self.worker));
        let answer = Answer { stream, worker, method: &method, version, keep_alive: false, idle: REFUSAL };
        let written: Result<(), Event> = answer.page(pages::refused(refusal.status())).await;
        if written.is_ok() { Next::Close } else { Next::Cut }
    }

    /// Closes the connection so that what was written arrives.
    pub(crate) async fn close(&mut self) {
        let (time, mut bytes) = LINGER;
        let linger = async {
            while self.stream.shutdown().await.is_ok() && bytes > 0 {
                let mut discarded = BytesMut::new();
                match self.stream.read(&mut discarded).await {
                    Ok(length @ 1..) => bytes = bytes.saturating_sub(length),
                    _ => return,
                }
            }
        };
        // Whether the client said goodbye as well or the time is up: it is over.
        _ = timeout(time, linger).await;
    }
}
