//! What the engine and a shim say to each other.
//!
//! A shim is the parent of one instance and outlives the engine that started it. It is started with a connected
//! socket as descriptor 0 and reads its [`Job`] there; later engines reach it at [`SOCKET`] in its run folder.
//!
//! ```text
//! engine                                   shim
//!   Job + filter, disk, launch, the spec's fds →
//!                                        ← Namespaces + the network namespace
//!   (gives the namespace its link)  Go   →
//!                                        ← Running        the program's process 1 was started
//!   Attach + one end of a socket         →
//!   Exec + filter, launch, such an end   →
//!   Stop, Kill                           →
//!                                        ← Unattached     nobody reads its streams (any more)
//!                                        ← Exited         the exit file is on disk
//! ```
//!
//! A later engine connects and is told Running or, if the instance ended meanwhile, finds the exit file.
//! Packets are JSON on SOCK_SEQPACKET, at most [`MAX_PACKET`] bytes, with at most [`MAX_FDS`] descriptors.

pub mod packets;

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The largest packet in bytes.
pub const MAX_PACKET: usize = 128 * 1024;
/// The most descriptors of one packet: the filter, the writable layer, the launch, and eight of a spec.
pub const MAX_FDS: usize = 11;

/// In the run folder: where a running shim listens.
pub const SOCKET: &str = "shim.sock";
/// In the run folder: the instance's output (`loglines::ring`).
pub const RING: &str = "ring";
/// In the run folder: where the root is put together; seen by the instance only.
pub const STAGE: &str = "stage";
/// In the data folder: the file of the writable layer, for whoever counts and deletes.
pub const DISK: &str = "disk.img";
/// In the data folder: [`Exit`], once the instance ended.
pub const EXIT: &str = "exit.json";

/// One instance to run. Descriptors: the filter of kernel calls, the writable layer (a file system that is mounted nowhere
/// yet), the launch, then one for each of `fds`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The host name inside.
    pub host_name: String,
    /// The folder that will hold [`EXIT`].
    pub data_folder: PathBuf,
    /// The folder on tmpfs for [`SOCKET`], [`RING`] and [`STAGE`]; exists, empty.
    pub run_folder: PathBuf,
    /// The folder shown inside as `/.slipway`.
    pub programs: PathBuf,
    /// What the root consists of: mounted folders, the topmost first, owners as inside.
    pub layers: Vec<PathBuf>,
    /// Folders of the root that the app may write, made if they are not there.
    pub writable: Vec<String>,
    /// The first of the 65,536 host uids and gids that are the instance's.
    pub first_id: u32,
    /// Its address on the network.
    pub address: Ipv4Addr,
    /// The name server it is told.
    pub resolver: Ipv4Addr,
    /// How it gets into its cgroups.
    pub placement: Placement,
    /// The file that counts kills for memory in a line `oom_kill N`.
    pub memory_events: Option<PathBuf>,
    /// The numbers, inside, of the descriptors behind the launch.
    pub fds: Vec<i32>,
    /// Bytes of output the ring holds.
    pub ring_bytes: u64,
    /// Where its standard streams lead.
    pub streams: Streams,
}

/// Where the standard streams of an instance lead.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Streams {
    /// Output into the ring.
    Logged,
    /// All three to the one who attaches, through a terminal of a size or through pipes.
    Attached(Option<Size>),
}

/// A terminal's size.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub struct Size {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// How a process gets into its cgroups.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// v1: it writes itself to each of these files.
    Write(Vec<PathBuf>),
    /// v2: it is made in this folder.
    Into(PathBuf),
}

/// A packet towards the shim; the [`Job`] comes before all of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToShim {
    /// The network is there: start the program.
    Go,
    /// SIGTERM to every process, SIGKILL after so many milliseconds.
    Stop {
        /// Milliseconds until SIGKILL.
        grace_ms: u64,
    },
    /// SIGKILL.
    Kill,
    /// Joins the instance's streams with the socket that comes along. A second one is closed.
    Attach,
    /// Runs one more program in the instance. Descriptors: the filter of kernel calls, the launch, the socket that its
    /// streams are joined with.
    Exec {
        /// The terminal it runs in, or pipes.
        size: Option<Size>,
    },
}

/// A packet from the shim.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum FromShim {
    /// The namespaces exist; the network namespace comes along.
    Namespaces,
    /// Process 1 runs.
    Running(Process),
    /// Nobody attached in time (`false`), or whoever did has gone (`true`); process 1 was told.
    Unattached {
        /// Whether somebody was there.
        came: bool,
    },
    /// It ended; the exit file holds the same.
    Exited(Exit),
    /// It could not be started; the text tells each cause.
    Failed(String),
}

/// Process 1 of an instance, as the host names it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub struct Process {
    /// Its process id.
    pub pid: i32,
    /// When it started, in clock ticks since boot (`/proc/PID/stat`, field 22): tells it from a later process with
    /// the same id.
    pub started_ticks: u64,
}

/// How an instance ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub struct Exit {
    /// The exit status as a shell tells it.
    pub status: i32,
    /// Whether it ended by SIGKILL and the kernel killed in it for memory.
    pub out_of_memory: bool,
}

impl Process {
    /// The process with this id, if there is one.
    #[must_use]
    pub fn with_id(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; the fields behind it are numbers and a letter.
        let (_, fields) = stat.rsplit_once(')')?;
        let started_ticks = fields.split_whitespace().nth(19)?.parse().ok()?;
        Some(Self { pid, started_ticks })
    }

    /// Whether this very process still exists.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Self::with_id(self.pid) == Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start() {
        let own = Process::with_id(rustix::process::getpid().as_raw_pid()).unwrap();
        assert!(own.is_alive());
        assert!(!Process { started_ticks: own.started_ticks + 1, ..own }.is_alive());
    }
}
