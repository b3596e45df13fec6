//! What the binary tells the router.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

/// Everything a router needs; made by the binary, which opened the sockets and dropped its privileges before.
#[derive(Debug)]
pub struct Config {
    /// The public sockets, bound and listening. Every worker accepts from each of them.
    pub listeners: Vec<TcpListener>,
    /// Control's socket for platform hosts: `run/control.sock`.
    pub platform_socket: PathBuf,
    /// Control's socket for route tables, to which the router connects: `run/routes.sock`.
    pub routes_socket: PathBuf,
    /// Control's socket for clients that come with a secret: `run/rendezvous.sock`.
    pub rendezvous_socket: PathBuf,
    /// Where the last table is kept, in a folder the router may write to: `run/routes.json`.
    pub table_file: PathBuf,
    /// Threads that serve; one per core is right.
    pub workers: usize,
    /// Client connections served at once, over all workers; above it requests get H22. Each takes a descriptor, and one
    /// more while a request is under way: keep it below 0.45 of the limit on open files.
    pub max_connections: usize,
    /// How long things may take.
    pub timeouts: Timeouts,
}

/// What a router is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// To serve.
    Serving,
    /// To make room for another that serves the same sockets: it accepts nothing more, and loses nobody it has. Each
    /// connection goes on until its next answer, which says that it is the last; a session or a WebSocket until it ends,
    /// for at most [`Timeouts::retirement`].
    Retiring,
    /// To end: idle connections are closed, requests under way have [`Timeouts::shutdown`].
    Closing,
}

impl Config {
    /// A sensible `max_connections`.
    pub const MAX_CONNECTIONS: usize = 20_000;
}

/// How long things may take. The defaults are Heroku's where Heroku says (Dev Center, "HTTP Routing").
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From the connection to its first byte. Default 10 s.
    pub first_bytes: Duration,
    /// A TLS handshake. Default 10 s.
    pub handshake: Duration,
    /// From a head's first byte to its last. Default 30 s.
    pub head: Duration,
    /// Between two requests on a connection. Default 75 s.
    pub keep_alive: Duration,
    /// For a dyno to take a connection. Default 5 s, then another dyno or H19.
    pub connect: Duration,
    /// How long a dyno that failed is avoided. Default 5 s.
    pub quarantine: Duration,
    /// From the whole request being sent to the answer's first byte. Default 30 s, then H12.
    pub first_byte: Duration,
    /// Silence in the middle of a request or an answer, or in a WebSocket. Default 55 s, then H15 or H28.
    pub idle: Duration,
    /// How long a request waits for a web dyno to be up. Default 75 s, then H20.
    pub boot: Duration,
    /// How long control may be away before its clients get a 503. Default 3 s.
    pub control: Duration,
    /// Silence on a platform host: a build's output or `git push` may think for long. Default 15 min.
    pub platform_idle: Duration,
    /// Silence in a one-off dyno's session. Default 1 h (Dev Center, "One-Off Dynos").
    pub session_idle: Duration,
    /// How long a connection to a dyno is kept for the next request. Default 90 s.
    pub kept: Duration,
    /// How long connections may stay after another router took the sockets over. Default 1 h, as for a silent session.
    pub retirement: Duration,
    /// How long requests under way may take after a shutdown was asked for. Default 30 s.
    pub shutdown: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_bytes: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            connect: Duration::from_secs(5),
            quarantine: Duration::from_secs(5),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(55),
            boot: Duration::from_secs(75),
            control: Duration::from_secs(3),
            platform_idle: Duration::from_mins(15),
            session_idle: Duration::from_hours(1),
            kept: Duration::from_secs(90),
            retirement: Duration::from_hours(1),
            shutdown: Duration::from_secs(30),
        }
    }
}
