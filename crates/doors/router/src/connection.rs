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
use crate::stand_in;
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
    /// Whether a `CONNECT` led here.
    pub(crate) is_inside: bool,
    /// Whether there were too many connections when it came.
    pub(crate) is_surplus: bool,
    /// Its place among those that a `slipway connect` carries, if it is one.
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
    /// It is taken for a new one: `crate::stand_in`.
    Inside,
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
    while connection.run().await == Next::Inside {
        let Some(inside) = Box::pin(connection.inside()).await else { return };
        connection = inside;
    }
}

/// Finds out what a connection speaks; `None` if it is nothing we do, or takes too long to say.
async fn open(worker: Rc<Worker>, socket: TcpStream, is_surplus: bool) -> Option<Connection> {
    let client = socket.peer_addr().ok()?.ip();
    let port = socket.local_addr().ok()?.port();
    socket.set_nodelay(true).ok()?;
    let mut first = [0];
    let peeked = first_byte(&worker, socket.peek(&mut first)).await?;
    let mut carried = None;
    worker.current.first(worker.timeouts.first_bytes).await;
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
    let (protocol, may_be_rendezvous) = spoken(&stream, said);
    let (stream, buffer, is_inside) = (Shared::new(stream), BytesMut::new(), false);
    Some(Connection {
        worker,
        stream,
        buffer,
        client,
        port,
        protocol,
        name,
        may_be_rendezvous,
        is_inside,
        is_surplus,
        carried,
    })
}

/// The name of what is spoken, and whether a secret may come.
fn spoken(stream: &Client, said: bool) -> (&'static str, bool) {
    match stream {
        Client::Tls(_) | Client::CarriedTls(_) => ("https", !said),
        Client::Plain(_) | Client::Carried(_) => ("http", false),
    }
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
    let (stream, named) = within(worker, Carried::new(stream)).await?;
    Some((stream, named, place))
}

async fn within(worker: &Worker, mut carried: Carried) -> Option<(Client, Named)> {
    match first_byte(worker, carried.peek()).await?? {
        TLS_HANDSHAKE => {
            let (stream, named) = handshake(worker, carried).await?;
            // One in another would be no use to anybody but those who look for the end of our memory.
            let nested = connect::is_chosen(stream.get_ref().1);
            (!nested).then(|| (Client::CarriedTls(Box::new(stream)), named))
        }
        byte if may_begin_http(byte) => Some((Client::Carried(Box::new(carried)), Named::default())),
        _ => None,
    }
}

/// What a look at the first byte finds, if it comes in time.
async fn first_byte<T>(worker: &Worker, look: impl Future<Output = std::io::Result<T>>) -> Option<T> {
    tokio::select! {
        found = timeout(worker.timeouts.first_bytes, look) => found.ok()?.ok(),
        () = worker.closing() => None,
    }
}

impl Connection {
    /// Serves what comes, to the end or to a `CONNECT`.
    async fn run(&mut self) -> Next {
        if self.may_be_rendezvous
            && let Some(secret) = rendezvous::secret(self).await
        {
            rendezvous::serve(self, secret).await;
            return Next::Cut;
        }
        let mut idle = self.worker.timeouts.first_bytes;
        loop {
            let next = match self.next_head(idle).await {
                Ok(Some(head)) => Box::pin(self.request(head)).await,
                Ok(None) => Next::Cut,
                Err(refusal) => self.refuse(refusal).await,
            };
            match next {
                Next::Reuse if !self.is_surplus => idle = self.worker.timeouts.keep_alive,
                Next::Reuse | Next::Close => self.close().await,
                Next::Reset => self.stream.reset_on_close(),
                Next::Cut | Next::Inside => {}
            }
            if next != Next::Reuse || self.is_surplus {
                return next;
            }
        }
    }

    /// What a `CONNECT` leads to: the same socket, of which the first byte decides again.
    async fn inside(self) -> Option<Self> {
        let Self { worker, stream, client, port, is_surplus, carried, .. } = self;
        let (stream, named) = match stream.into_inner()? {
            Client::Plain(socket) => {
                let mut first = [0];
                let peeked = first_byte(&worker, socket.peek(&mut first)).await?;
                match first {
                    _ if peeked == 0 => return None,
                    [TLS_HANDSHAKE] => {
                        let (stream, named) = handshake(&worker, socket).await?;
                        // An agent carries; it is not carried.
                        (!connect::is_chosen(stream.get_ref().1)).then(|| (Client::Tls(Box::new(stream)), named))?
                    }
                    [byte] if may_begin_http(byte) => (Client::Plain(socket), Named::default()),
                    _ => return None,
                }
            }
            Client::Carried(carried) => within(&worker, *carried).await?,
            // `crate::stand_in` refuses it before.
            Client::Tls(_) | Client::CarriedTls(_) => return None,
        };
        let (protocol, may_be_rendezvous) = spoken(&stream, named.protocol);
        let (stream, buffer, name, is_inside) = (Shared::new(stream), BytesMut::new(), named.name, true);
        Some(Self {
            worker,
            stream,
            buffer,
            client,
            port,
            protocol,
            name,
            may_be_rendezvous,
            is_inside,
            is_surplus,
            carried,
        })
    }

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
        if head.method == http::Method::CONNECT {
            return stand_in::answer(self, &head, &host).await;
        }
        match self.worker.current.routes().owner(&host) {
            Owner::App(app) => app::serve(self, head, host, app).await,
            Owner::Platform => platform::serve(self, head).await,
            Owner::Nobody if self.worker.current.version() == 0 => {
                self.say(&head, pages::refused(http::StatusCode::SERVICE_UNAVAILABLE)).await
            }
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
    pub(crate) async fn say(&mut self, head: &Head, page: Page) -> Next {
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
