//! A constant load that knows the birth of each connection, so that a failure can be told from one that was allowed.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::http::read_response;

/// Connections of each kind: half keep theirs alive, half close after each request.
const WORKERS: u32 = 8;
/// Requests per second of all workers together.
const RATE: u32 = 200;

/// What came of the requests.
#[derive(Debug, Default, Clone)]
pub struct Report {
    /// Requests that were answered 200.
    pub good: u64,
    /// The others: when (from the load's begin), what was seen, and the connection's age.
    pub failed: Vec<String>,
    /// Bodies seen, by how often; kept short by the apps that are asked.
    pub bodies: std::collections::BTreeMap<String, u64>,
}

/// A load under way.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    report: Arc<Mutex<Report>>,
    workers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Begins 200 requests a second for `/` of a host.
    pub fn start(address: SocketAddr, host: &str) -> Self {
        Self::start_at(address, host, RATE)
    }

    /// The same with so many requests a second.
    pub fn start_at(address: SocketAddr, host: &str, rate: u32) -> Self {
        let (stop, report) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Report::default())));
        let begun = Instant::now();
        let workers = (0..WORKERS).map(|number| {
            let worker = Worker {
                address,
                head: format!("GET / HTTP/1.1\r\nHost: {host}\r\n"),
                keep: number % 2 == 0,
                pace: Duration::from_secs(1) * WORKERS / rate,
                begun,
                report: Arc::clone(&report),
            };
            let stop = Arc::clone(&stop);
            let offset = Duration::from_secs(1) * number / rate;
            thread::spawn(move || worker.run(offset, &stop))
        });
        let workers = workers.collect();
        Self { stop, report, workers }
    }

    /// How many requests failed so far.
    pub fn failed(&self) -> usize {
        self.report.lock().map(|report| report.failed.len()).unwrap_or_default()
    }

    /// Ends the load and tells what came of it.
    pub fn finish(self) -> Report {
        self.stop.store(true, Ordering::SeqCst);
        for worker in self.workers {
            drop(worker.join());
        }
        self.report.lock().map(|report| report.clone()).unwrap_or_default()
    }
}

struct Worker {
    address: SocketAddr,
    head: String,
    keep: bool,
    pace: Duration,
    begun: Instant,
    report: Arc<Mutex<Report>>,
}

impl Worker {
    fn run(&self, offset: Duration, stop: &AtomicBool) {
        let mut next = Instant::now() + offset;
        let mut connection: Option<(BufReader<TcpStream>, Instant)> = None;
        while !stop.load(Ordering::SeqCst) {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            next += self.pace;
            let (outcome, age) = self.once(&mut connection);
            if let Ok(mut report) = self.report.lock() {
                match outcome {
                    Ok(body) => {
                        report.good += 1;
                        *report.bodies.entry(body).or_default() += 1;
                    }
                    Err(told) => report.failed.push(format!(
                        "{:.2} s: {told} (keep-alive {}, connection {:.3} s old)",
                        self.begun.elapsed().as_secs_f64(),
                        self.keep,
                        age.as_secs_f64()
                    )),
                }
            }
        }
    }

    fn once(&self, connection: &mut Option<(BufReader<TcpStream>, Instant)>) -> (Result<String, String>, Duration) {
        let (mut reader, born) = match connection.take() {
            Some(connection) => connection,
            None => match self.connect() {
                Ok(reader) => (reader, Instant::now()),
                Err(error) => return (Err(format!("connect: {error}")), Duration::ZERO),
            },
        };
        let head = format!("{}Connection: {}\r\n\r\n", self.head, if self.keep { "keep-alive" } else { "close" });
        let outcome = reader
            .get_mut()
            .write_all(head.as_bytes())
            .and_then(|()| read_response(&mut reader, false))
            .map_err(|error| error.to_string());
        let age = born.elapsed();
        match outcome {
            Ok(response) if response.status == 200 => {
                let closes = response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
                if self.keep && !closes {
                    *connection = Some((reader, born));
                }
                (Ok(response.text()), age)
            }
            Ok(response) => (Err(format!("status {}: {}", response.status, response.text())), age),
            Err(told) => (Err(told), age),
        }
    }

    fn connect(&self) -> std::io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(40)))?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }
}
