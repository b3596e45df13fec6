//! A whole router between real sockets: dynos are tasks that speak HTTP by hand, control is the other end of its socket.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use router::{Config, Phase, Timeouts};
use routes_table::{AppRoute, FromRouter, Table, Target, ToRouter, Web};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use vocabulary::{AppId, DynoId};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) control: Control,
    pub(crate) folder: TempDir,
    phase: watch::Sender<Phase>,
    router: Option<JoinHandle<Result<(), router::Error>>>,
}

impl House {
    /// A router that serves `web` as `sushi.localhost`.
    pub(crate) async fn serving(web: Web) -> Self {
        Self::start(table(1, web), Timeouts::default(), 1000).await
    }

    pub(crate) async fn start(table: Table, timeouts: Timeouts, max_connections: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let control = Control::start(folder.path(), table);
        let mut house = Self::open(folder, control, timeouts, max_connections);
        house.control.acknowledged().await;
        house
    }

    fn open(folder: TempDir, control: Control, timeouts: Timeouts, max_connections: usize) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = Config {
            listeners: vec![listener],
            platform_socket: folder.path().join("control.sock"),
            rendezvous_socket: folder.path().join("rendezvous.sock"),
            routes_socket: folder.path().join("routes.sock"),
            table_file: folder.path().join("routes.json"),
            workers: 2,
            max_connections,
            timeouts,
        };
        let (phase, asked) = watch::channel(Phase::Serving);
        let router = std::thread::spawn(move || router::run(config, asked));
        Self { address, control, folder, phase, router: Some(router) }
    }

    /// Stops the router, and control with it, and starts a router on the same folder.
    pub(crate) async fn restart_without_control(mut self) -> Self {
        self.stop().await;
        self.control.stop();
        let folder = std::mem::replace(&mut self.folder, TempDir::new().unwrap());
        Self::open(folder, Control::gone(), Timeouts::default(), 1000)
    }

    pub(crate) fn ask_to_stop(&self) {
        self.phase.send_replace(Phase::Closing);
    }

    /// As when another router took its sockets over.
    pub(crate) fn ask_to_retire(&self) {
        self.phase.send_replace(Phase::Retiring);
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.router.as_ref().is_none_or(JoinHandle::is_finished)
    }

    pub(crate) async fn stop(&mut self) {
        self.ask_to_stop();
        let router = self.router.take().unwrap();
        tokio::task::spawn_blocking(move || router.join().unwrap().unwrap()).await.unwrap();
    }

    /// Sends bytes on a connection of their own, and reads to its end.
    pub(crate) async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_ref()).await.unwrap();
        to_end(&mut stream).await
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        self.raw(format!("GET {path} HTTP/1.1\r\nHost: sushi.localhost\r\nConnection: close\r\n\r\n")).await
    }

    /// The answer to a `GET` that ends with `code`, checked against the code's line, status and page.
    pub(crate) async fn expect_code(&mut self, code: &str, status: u16, opening: &str) {
        let answer = self.get("/x?y").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{code}: {answer:.1000}");
        assert!(answer.contains("cache-control: no-cache, no-store\r\n"), "{answer}");
        assert!(answer.contains("<!DOCTYPE html>"), "{answer}");
        let line = self.control.line().await;
        let expected = format!("{opening} method=GET path=\"/x?y\" host=sushi.localhost request_id=");
        assert!(line.starts_with(&expected), "{line}\nexpected {expected}");
        assert!(line.contains(&format!(" status={status} ")), "{line}");
        assert!(line.ends_with(" protocol=http"), "{line}");
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

pub(crate) struct Control {
    tables: mpsc::Sender<Table>,
    pub(crate) messages: mpsc::Receiver<FromRouter>,
    lines: Vec<String>,
    task: tokio::task::JoinHandle<()>,
}

impl Control {
    fn start(folder: &Path, first: Table) -> Self {
        let listener = UnixListener::bind(folder.join("routes.sock")).unwrap();
        let (tables, mut published) = mpsc::channel::<Table>(8);
        let (heard, messages) = mpsc::channel(1024);
        let task = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut link = wire::Connection::new(stream).unwrap();
            publish(&mut link, &first).await;
            loop {
                tokio::select! {
                    message = link.receiver.receive::<FromRouter>() => match message {
                        Ok(Some((message, _))) => heard.send(message).await.unwrap(),
                        _ => return,
                    },
                    Some(table) = published.recv() => publish(&mut link, &table).await,
                }
            }
        });
        Self { tables, messages, lines: Vec::new(), task }
    }

    fn gone() -> Self {
        let task = tokio::spawn(async {});
        Self { tables: mpsc::channel(1).0, messages: mpsc::channel(1).1, lines: Vec::new(), task }
    }

    fn stop(&self) {
        self.task.abort();
    }

    /// Publishes a table and waits for the answer to it.
    pub(crate) async fn publish(&mut self, table: Table) -> FromRouter {
        self.tables.send(table).await.unwrap();
        self.acknowledged().await
    }

    pub(crate) async fn acknowledged(&mut self) -> FromRouter {
        self.hear(|message| matches!(message, FromRouter::Acknowledge { .. } | FromRouter::Refuse { .. })).await
    }

    /// The next message that fits; lines on the way there are kept.
    pub(crate) async fn hear(&mut self, fits: impl Fn(&FromRouter) -> bool) -> FromRouter {
        loop {
            let message = timeout(PATIENCE, self.messages.recv()).await.expect("a message in time").expect("a link");
            if let FromRouter::Lines(lines) = &message {
                self.lines.extend(lines.iter().map(|line| {
                    assert_eq!((line.source, line.dyno.as_str()), (loglines::Source::Heroku, "router"));
                    line.text.clone()
                }));
            }
            if fits(&message) {
                return message;
            }
        }
    }

    /// The next line of the router's.
    pub(crate) async fn line(&mut self) -> String {
        while self.lines.is_empty() {
            self.hear(|message| matches!(message, FromRouter::Lines(_))).await;
        }
        self.lines.remove(0)
    }
}

async fn publish(link: &mut wire::Connection, table: &Table) {
    let fd = wire::seal(&serde_json::to_vec(table).unwrap()).unwrap();
    link.sender.send(&ToRouter::Publish { version: table.version }, &[fd.as_fd()]).await.unwrap();
}

pub(crate) fn table(version: u64, web: Web) -> Table {
    let app = AppRoute { app: AppId::new(), name: "sushi".parse().unwrap(), maintenance: false, web };
    Table {
        version,
        platform: vec!["localhost".to_owned(), "telex.heroku.com".to_owned()],
        domain: "localhost".to_owned(),
        hosts: BTreeMap::from([("sushi.localhost".to_owned(), 0)]),
        apps: vec![app],
        leaves: Vec::new(),
    }
}

pub(crate) fn at(dyno: &str, address: SocketAddr) -> Target {
    let SocketAddr::V4(address) = address else { panic!("an IPv4 address") };
    Target { id: DynoId::new(), dyno: dyno.to_owned(), address }
}

/// An address at which nobody listens.
pub(crate) fn nobody() -> SocketAddrV4 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let SocketAddr::V4(address) = listener.local_addr().unwrap() else { panic!("an IPv4 address") };
    address
}

/// A dyno that does `each` with every connection.
pub(crate) async fn dyno<F, R>(each: F) -> Target
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(each(stream));
        }
    });
    at("web.1", address)
}

/// A dyno that answers every request's head with the same bytes, and keeps the connection.
pub(crate) async fn saying(answer: &'static str) -> Target {
    dyno(move |mut stream| async move {
        while !head(&mut stream).await.is_empty() {
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// One head, or nothing at the end of the stream.
pub(crate) async fn head(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => return String::new(),
        }
    }
    String::from_utf8(bytes).unwrap()
}

pub(crate) async fn to_end(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // A reset after the answer is an end as well.
    _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the end of the connection in time");
    String::from_utf8_lossy(&bytes).into_owned()
}
