//! A witness between the clients and the platform: passes every byte on as it comes, and holds each answer of the API
//! against the published schema.
//!
//! Knows as much of HTTP/1.1 as it takes to tell one answer from the next. What is none of that goes through unread:
//! TLS (git), what follows an upgrade, what it cannot take apart.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use schema_check::Schema;

use crate::http::{read_answer_body, read_head, read_sized_body};

/// The first byte of a TLS handshake.
const TLS: u8 = 0x16;

/// Listens on a port of its own until the program ends.
#[derive(Debug)]
pub struct Witness {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Answer>>>,
    schema: Schema,
    tally: Mutex<Tally>,
}

/// What was asked of the API, and what it said.
#[derive(Debug)]
struct Answer {
    asked: Asked,
    status: u16,
    body: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Asked {
    method: String,
    path: String,
    /// Whether it was for the platform and not for one of its apps.
    platform: bool,
}

#[derive(Debug, Default)]
struct Tally {
    checked: usize,
    /// Of endpoints that are not in the schema.
    unknown: BTreeSet<String>,
    /// Endpoints that gave an answer as published that was no error, since they were last taken.
    good: BTreeSet<String>,
}

impl Witness {
    /// Begins to listen in front of a platform.
    pub(crate) fn start(platform: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let heard = Arc::default();
        let witness = Self { address, heard: Arc::clone(&heard), schema: Schema::published(), tally: Mutex::default() };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let heard = Arc::clone(&heard);
                // A connection that breaks is for its two ends to tell.
                thread::spawn(move || drop(attend(&client, platform, &heard)));
            }
        });
        Ok(witness)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was wrong with the answers since the last call.
    pub fn violations(&self) -> Vec<String> {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner));
        let wrong: BTreeSet<String> = heard.iter().filter_map(|answer| self.check(answer).err()).collect();
        wrong.into_iter().collect()
    }

    /// The endpoints that gave a good answer since the last call; of what [`Witness::violations`] has looked at.
    pub(crate) fn take_good(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner).good)
    }

    /// How much was checked.
    pub(crate) fn summary(&self) -> String {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown: Vec<_> = tally.unknown.iter().map(|endpoint| format!("\n  {endpoint}")).collect();
        let (checked, count) = (tally.checked, unknown.len());
        format!("{checked} API answers as published; {count} endpoints are not in the schema{}", unknown.concat())
    }

    fn check(&self, Answer { asked, status, body }: &Answer) -> Result<(), String> {
        let Asked { method, path, .. } = asked;
        let wrong = |what: &str| format!("{method} {path} answered {status}: {what}");
        let json = serde_json::from_slice(body).map_err(|error| wrong(&error.to_string()))?;
        let known = self.schema.check(method, path, *status, &json).map_err(|what| wrong(&what))?;
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.checked += 1;
        if let (true, Some(endpoint)) = (*status < 400, self.schema.endpoint(method, path)) {
            tally.good.insert(endpoint.to_owned());
        }
        if !known {
            tally.unknown.insert(format!("{method} {}", path.split('?').next().unwrap_or_default()));
        }
        Ok(())
    }
}

/// One connection, from its first byte to its end.
fn attend(client: &TcpStream, platform: SocketAddr, heard: &Mutex<Vec<Answer>>) -> io::Result<()> {
    let platform = TcpStream::connect(platform)?;
    // Small messages in both directions must not wait for one another.
    client.set_nodelay(true)?;
    platform.set_nodelay(true)?;
    let mut first = [0];
    let plain = client.peek(&mut first)? == 1 && first != [TLS];
    let up = Passing { from: client.try_clone()?, to: platform.try_clone()? };
    let mut down = BufReader::new(Passing { from: platform.try_clone()?, to: client.try_clone()? });
    let (ask, asked) = channel();
    thread::spawn(move || {
        let mut up = BufReader::new(up);
        if plain {
            drop(hear_requests(&mut up, &ask));
        }
        drop(ask);
        drop(io::copy(&mut up, &mut io::sink()));
        // The client has gone, and wants no more answers.
        drop(platform.shutdown(Shutdown::Both));
    });
    if plain {
        drop(hear_answers(&mut down, &asked, heard));
    }
    drop(io::copy(&mut down, &mut io::sink()));
    client.shutdown(Shutdown::Write)
}

/// Passes requests on until one cannot be told from the next.
fn hear_requests(client: &mut impl BufRead, ask: &Sender<Asked>) -> io::Result<()> {
    loop {
        let head = read_head(client)?;
        let mut words = head.first.split(' ').map(str::to_owned);
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
        let host = head.header("host").unwrap_or_default().split(':').next();
        let platform = matches!(host, Some("127.0.0.1" | "localhost"));
        ask.send(Asked { method, path, platform }).map_err(io::Error::other)?;
        if head.header("upgrade").is_some() {
            return Ok(());
        }
        read_sized_body(client, &head)?;
    }
}

/// Passes answers on until one belongs to no request, and keeps what the API said in JSON.
fn hear_answers(platform: &mut impl BufRead, asked: &Receiver<Asked>, answers: &Mutex<Vec<Answer>>) -> io::Result<()> {
    loop {
        let head = read_head(platform)?;
        let status = head.status()?;
        match status {
            101 => return Ok(()),
            100..200 => continue,
            _ => {}
        }
        // The request went before its answer, and the other thread is at most about to say so.
        let asked = asked.recv_timeout(Duration::from_secs(5)).map_err(io::Error::other)?;
        if asked.method == "HEAD" {
            continue;
        }
        let body = read_answer_body(platform, &head)?;
        let json = head.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        if asked.platform && json && !body.is_empty() {
            answers.lock().unwrap_or_else(PoisonError::into_inner).push(Answer { asked, status, body });
        }
    }
}

/// Reads from one end and has written to the other before it says so.
#[derive(Debug)]
struct Passing {
    from: TcpStream,
    to: TcpStream,
}

impl Read for Passing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        // Who closed its end early may have answered first: the rest is read, so that the answer is not lost to a reset.
        drop(self.to.write_all(&buffer[..read]));
        Ok(read)
    }
}
