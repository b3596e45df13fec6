//! The DNS forwarder: a child process without rights that passes the dynos' questions on to the host's resolvers.
//!
//! ```text
//! forwarder    0: a pipe whose end means that the engine is gone   3: UDP socket   4: TCP listener
//! ```
//!
//! Each question is parsed before it leaves and each answer before it comes back; what is no single question gets no
//! answer. Questions leave with an id and a port of their own. Addresses of the host itself and of metadata services
//! are taken out of answers, so that no public name leads a dyno's client there. If no resolver answers with an
//! address, the host's own way of looking names up (`/etc/hosts`, nsswitch) is asked.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::process::{ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use rustix::process::Resource;
use sys::confine::{Confinement, confine};
use sys::descriptors::inherited;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};

/// Numbers of the sockets in the child.
const UDP: i32 = 3;
const TCP: i32 = 4;
/// How long a resolver may take; clients ask again after 5 s.
const PATIENCE: Duration = Duration::from_secs(5);
/// Questions under way at once, in all and of one dyno.
const IN_FLIGHT: usize = 512;
const IN_FLIGHT_EACH: usize = 64;
/// TCP connections at once, in all and of one dyno. Each may ask one question after the other.
const CONNECTIONS: usize = 128;
const CONNECTIONS_EACH: usize = 16;
/// The largest answer over UDP that no client refuses (EDNS's usual 1232 is below).
const MAX_UDP: usize = 4096;
/// What a looked-up address may be kept for, in seconds.
const LOOKED_UP_TTL: u32 = 30;
/// Pauses before a forwarder that died is started again: doubled from the first to the last.
const RESTART: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// A forwarder that served so long was well: the pauses begin anew.
const STEADY: Duration = Duration::from_mins(1);
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The sockets, bound by the engine, since port 53 takes rights.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) udp: OwnedFd,
    pub(super) tcp: OwnedFd,
}

/// Runs the forwarder and starts it again whenever it dies.
pub(super) async fn supervise(command: Vec<String>, uid: u32, sockets: Sockets) {
    let mut pause = RESTART.0;
    loop {
        let begun = Instant::now();
        match spawn(&command, uid, &sockets) {
            Ok(mut child) => {
                // Dropping the pipe would tell it to end.
                let pipe = child.stdin.take();
                let status = child.wait().await;
                tracing::error!(?status, ?pause, "the DNS forwarder ended; starting it again");
                drop(pipe);
            }
            Err(error) => tracing::error!(%error, "could not start the DNS forwarder"),
        }
        if begun.elapsed() >= STEADY {
            pause = RESTART.0;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RESTART.1);
    }
}

fn spawn(command: &[String], uid: u32, sockets: &Sockets) -> io::Result<tokio::process::Child> {
    let (program, args) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
    let mut child = std::process::Command::new(program);
    child.args(args).env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null());
    let confinement = Confinement {
        uid,
        gid: uid,
        no_network: false,
        limits: vec![(Resource::Nofile, 2048), (Resource::Core, 0), (Resource::As, 1 << 30)],
        // Name lookups read what nsswitch names, which no list here could know; it has a user of its own.
        files: None,
        fds: vec![(sockets.udp.try_clone()?, UDP), (sockets.tcp.try_clone()?, TCP)],
    };
    let _places = confine(&mut child, confinement).map_err(io::Error::other)?;
    let mut child = tokio::process::Command::from(child);
    child.kill_on_drop(true).spawn()
}

/// The child's whole life.
#[must_use]
pub fn forwarder_main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(8).build();
    let Ok(runtime) = runtime else { return ExitCode::FAILURE };
    let served = runtime.block_on(serve());
    // A name lookup that hangs in libc must not keep the process.
    runtime.shutdown_background();
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn serve() -> io::Result<()> {
    let udp = std::net::UdpSocket::from(inherited(UDP)?);
    let tcp = std::net::TcpListener::from(inherited(TCP)?);
    udp.set_nonblocking(true)?;
    tcp.set_nonblocking(true)?;
    let mut engine = tokio::net::unix::pipe::Receiver::from_owned_fd(inherited(0)?)?;
    let forwarder = Arc::new(Forwarder::default());
    tokio::select! {
        result = serve_udp(Arc::clone(&forwarder), Arc::new(UdpSocket::from_std(udp)?)) => result,
        result = serve_tcp(forwarder, TcpListener::from_std(tcp)?) => result,
        // The engine is gone, or wants us gone.
        _ = engine.read_u8() => Ok(()),
    }
}

async fn serve_udp(forwarder: Arc<Forwarder>, socket: Arc<UdpSocket>) -> io::Result<()> {
    let mut buffer = vec![0; 2048];
    loop {
        // Errors here are ICMP answers to earlier datagrams, no reason to stop.
        let Ok((count, client)) = socket.recv_from(&mut buffer).await else { continue };
        let question = buffer.get(..count).unwrap_or_default().to_vec();
        let Some(place) = forwarder.questions.enter(client.ip()) else {
            if let Some(answer) = refusal(&question) {
                // Best effort, like all of UDP.
                drop(socket.send_to(&answer, client).await);
            }
            continue;
        };
        let (forwarder, socket) = (Arc::clone(&forwarder), Arc::clone(&socket));
        tokio::spawn(async move {
            if let Some(answer) = forwarder.answer(&question, false).await {
                drop(socket.send_to(&answer, client).await);
            }
            drop(place);
        });
    }
}

async fn serve_tcp(forwarder: Arc<Forwarder>, listener: TcpListener) -> io::Result<()> {
    loop {
        let Ok((stream, client)) = listener.accept().await else {
            // Out of descriptors; some will be free soon.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Some(place) = forwarder.connections.enter(client.ip()) else { continue };
        let forwarder = Arc::clone(&forwarder);
        tokio::spawn(async move {
            // A broken connection is its client's affair.
            drop(serve_connection(&forwarder, stream, client.ip()).await);
            drop(place);
        });
    }
}

async fn serve_connection(forwarder: &Arc<Forwarder>, mut stream: TcpStream, client: IpAddr) -> io::Result<()> {
    loop {
        let question = timeout(PATIENCE, read_framed(&mut stream)).await??;
        let answer = match forwarder.questions.enter(client) {
            Some(_place) => forwarder.answer(&question, true).await,
            None => refusal(&question),
        };
        let Some(answer) = answer else { return Ok(()) };
        timeout(PATIENCE, write_framed(&mut stream, &answer)).await??;
    }
}

/// DNS over TCP: two bytes of length, then the message.
async fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn write_framed(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes()[..], message].concat();
    stream.write_all(&framed).await
}

/// The one question of a message, if that is what it is.
fn parse(bytes: &[u8]) -> Option<Message> {
    let message = Message::from_vec(bytes).ok()?;
    let one = message.metadata.message_type == MessageType::Query
        && message.metadata.op_code == OpCode::Query
        && message.queries.len() == 1;
    one.then_some(message)
}

fn reply(question: &Message, code: ResponseCode) -> Message {
    let mut reply = Message::response(question.metadata.id, OpCode::Query);
    reply.metadata.recursion_desired = question.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.metadata.response_code = code;
    reply.add_queries(question.queries.clone());
    reply
}

fn refusal(question: &[u8]) -> Option<Vec<u8>> {
    reply(&parse(question)?, ResponseCode::ServFail).to_vec().ok()
}

/// An address no name may lead a dyno to: this host's loopback, or link-local with its metadata services.
fn is_forbidden(address: Ipv4Addr) -> bool {
    address.is_loopback() || address.is_link_local() || address.is_unspecified()
}

/// Takes forbidden addresses out of an answer; an answer without IPv6 addresses misses nothing here.
fn clean(answer: &mut Message) {
    answer.answers.retain(|record| match &record.data {
        RData::A(A(address)) => !is_forbidden(*address),
        RData::AAAA(_) => false,
        _ => true,
    });
}

struct Forwarder {
    questions: Places,
    connections: Places,
    resolvers: Mutex<Option<(SystemTime, Vec<SocketAddr>)>>,
}

impl Default for Forwarder {
    fn default() -> Self {
        Self {
            questions: Places::new(IN_FLIGHT, IN_FLIGHT_EACH),
            connections: Places::new(CONNECTIONS, CONNECTIONS_EACH),
            resolvers: Mutex::default(),
        }
    }
}

/// How much is under way at once: in all, and for one dyno, so that none keeps the others from being answered.
#[derive(Clone)]
struct Places {
    all: usize,
    each: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One of them.
struct Place(Places, IpAddr);

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.1);
            }
        }
    }
}

impl Places {
    fn new(all: usize, each: usize) -> Self {
        Self { all, each, taken: Arc::default() }
    }

    fn enter(&self, client: IpAddr) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(&client).copied().unwrap_or_default();
        if own >= self.each || taken.values().sum::<usize>() >= self.all {
            return None;
        }
        taken.insert(client, own + 1);
        Some(Place(self.clone(), client))
    }
}

impl Forwarder {
    /// The answer in the client's words; none if it asked nothing.
    async fn answer(&self, question: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let question = parse(question)?;
        let mut answer = self.resolve(&question).await;
        answer.metadata.id = question.metadata.id;
        clean(&mut answer);
        let bytes = answer.to_vec().ok()?;
        let room = if tcp { usize::from(u16::MAX) } else { usize::from(question.max_payload()).min(MAX_UDP) };
        if bytes.len() <= room { Some(bytes) } else { answer.truncate().to_vec().ok() }
    }

    async fn resolve(&self, question: &Message) -> Message {
        let mut best = reply(question, ResponseCode::ServFail);
        for resolver in self.resolvers() {
            if let Ok(Ok(answer)) = timeout(PATIENCE, ask(resolver, question)).await {
                if answer.metadata.response_code == ResponseCode::NoError {
                    best = answer;
                    break;
                }
                best = answer;
            }
        }
        let wants_address = question.queries.first().is_some_and(|query| query.query_type() == RecordType::A);
        if wants_address && best.answers.is_empty() { look_up(question).await.unwrap_or(best) } else { best }
    }

    /// The host's resolvers, read again when the file changed.
    fn resolvers(&self) -> Vec<SocketAddr> {
        let changed =
            std::fs::metadata(RESOLV_CONF).and_then(|about| about.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut known = self.resolvers.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|(read, _)| *read != changed) {
            let text = std::fs::read_to_string(RESOLV_CONF).unwrap_or_default();
            *known = Some((changed, name_servers(&text)));
        }
        known.as_ref().map(|(_, resolvers)| resolvers.clone()).unwrap_or_default()
    }
}

/// The `nameserver` lines of a resolv.conf, at most the three that libc uses.
fn name_servers(text: &str) -> Vec<SocketAddr> {
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        words.next()?.parse::<IpAddr>().ok()
    });
    addresses.take(3).map(|address| SocketAddr::new(address, 53)).collect()
}

/// Asks one resolver, by UDP and, if that is cut, by TCP.
async fn ask(resolver: SocketAddr, question: &Message) -> io::Result<Message> {
    let mut sent = question.clone();
    sent.metadata.id = random_id()?;
    let bytes = sent.to_vec().map_err(io::Error::other)?;
    let local: SocketAddr = if resolver.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        "[::]:0".parse().map_err(io::Error::other)?
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(resolver).await?;
    socket.send(&bytes).await?;
    let mut buffer = vec![0; MAX_UDP];
    loop {
        let count = socket.recv(&mut buffer).await?;
        match Message::from_vec(buffer.get(..count).unwrap_or_default()) {
            Ok(answer) if answers(&answer, &sent) && answer.metadata.truncation => break,
            Ok(answer) if answers(&answer, &sent) => return Ok(answer),
            // Somebody guesses; the true answer may still come.
            _ => {}
        }
    }
    let mut stream = TcpStream::connect(resolver).await?;
    write_framed(&mut stream, &bytes).await?;
    let answer = Message::from_vec(&read_framed(&mut stream).await?).map_err(io::Error::other)?;
    if answers(&answer, &sent) { Ok(answer) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn answers(answer: &Message, question: &Message) -> bool {
    answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == question.metadata.id
        && answer.queries == question.queries
}

fn random_id() -> io::Result<u16> {
    let mut bytes = [0; 2];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u16::from_ne_bytes(bytes))
}

/// Asks the host's libc.
async fn look_up(question: &Message) -> Option<Message> {
    let query = question.queries.first()?;
    let name = query.name().to_ascii();
    let found = timeout(PATIENCE, tokio::net::lookup_host((name.trim_end_matches('.'), 0))).await.ok()?.ok()?;
    let mut answer = reply(question, ResponseCode::NoError);
    for address in found {
        if let IpAddr::V4(address) = address.ip() {
            answer.add_answer(Record::from_rdata(query.name().clone(), LOOKED_UP_TTL, RData::A(A(address))));
        }
    }
    (!answer.answers.is_empty()).then_some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read() {
        let text = "# x\nsearch a\nnameserver 1.1.1.1\nnameserver ::1\nnameserver x\n nameserver 9.9.9.9\nnameserver 8.8.8.8\n";
        let shown: Vec<String> = name_servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["1.1.1.1:53", "[::1]:53", "9.9.9.9:53"]);
    }

    #[test]
    fn what_is_no_single_question_gets_no_answer() {
        assert!(parse(b"").is_none());
        assert!(parse(&[0; 12]).is_none());
        assert!(parse(&Message::query().to_vec().unwrap()).is_none());
    }

    #[test]
    fn one_dyno_cannot_take_all_places() {
        let Forwarder { questions, connections, .. } = Forwarder::default();
        for (places, each) in [(questions, IN_FLIGHT_EACH), (connections, CONNECTIONS_EACH)] {
            let one: Vec<_> = std::iter::from_fn(|| places.enter(IpAddr::from([198, 18, 0, 1]))).collect();
            assert_eq!(one.len(), each);
            let other = places.enter(IpAddr::from([198, 18, 0, 2]));
            assert!(other.is_some());
            drop(one);
            assert!(places.enter(IpAddr::from([198, 18, 0, 1])).is_some());
            drop(other);
            assert!(places.taken.lock().unwrap().is_empty());
        }
    }

    #[test]
    fn addresses_of_the_host_are_taken_out() {
        assert!(is_forbidden(Ipv4Addr::LOCALHOST));
        assert!(is_forbidden(Ipv4Addr::new(169, 254, 169, 254)));
        assert!(!is_forbidden(Ipv4Addr::new(203, 0, 113, 80)));
    }
}
