//! Instances, their images and their ends.

use std::net::{Ipv4Addr, SocketAddrV4};

use serde::{Deserialize, Serialize};
use vocabulary::{AppId, Digest, DynoId};

/// One instance to run. Its command and environment travel apart, in sealed memory (`inside_contract::Launch`).
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct InstanceSpec {
    /// The id, chosen by the caller; starting the same id twice starts one instance.
    pub id: DynoId,
    /// What it is for.
    pub kind: Kind,
    /// The app it belongs to.
    pub app: AppId,
    /// What people call it: `web.1`, `release.4711`, `build`. Its host name inside is the id.
    pub name: String,
    /// What its root consists of.
    pub image: Image,
    /// The port it is expected to listen on; the engine watches for it and says [`crate::Event::Listening`].
    pub port: Option<u16>,
    /// What it may use.
    pub limits: Limits,
    /// The numbers, inside, of the descriptors that follow the launch in the request, in order.
    pub fds: Vec<i32>,
    /// Where its standard streams lead.
    #[serde(default)]
    pub stdio: Stdio,
}

/// Where the standard streams of an instance lead.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Stdio {
    /// Output goes to the ring; input is empty, unless descriptor 0 is given.
    #[default]
    Logged,
    /// All three lead to the one who attaches ([`crate::Request::Attach`]), and the ring stays empty. Output waits for
    /// the one who attaches; if nobody does within a minute, the instance is told to stop. When they go away, every
    /// process gets SIGHUP.
    Attached {
        /// The terminal it runs in; without one it has plain pipes, output and errors in one.
        terminal: Option<Terminal>,
    },
}

/// A terminal's size.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub struct Terminal {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// What an instance is for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A dyno of an app, one-off and release phase included.
    Dyno,
    /// A build, on the build image; may reach package sources.
    Build,
}

/// What an instance's root consists of, from the bottom: the stack's image, then layers, then our programs, then a
/// writable layer that dies with the instance.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Image {
    /// The stack: the image installed under this name, or, of Heroku's own, the one that stands in for it.
    pub stack: String,
    /// Which form of the stack.
    pub variant: Variant,
    /// Layers from the bottom to the top; a later one hides an earlier one's files.
    pub layers: Vec<Digest>,
}

/// The two forms of a stack.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// What dynos run on.
    Run,
    /// The run image with compilers and headers.
    Build,
}

/// A stack image of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledStack {
    /// The name it is asked for by: `debian-13`, or that of an imported one.
    pub name: String,
    /// The value of `STACK` that classic buildpacks see: they build download addresses from it.
    pub buildpacks: String,
    /// SHA-256 of what identifies its image files: another one is another image under the same name. The other way round
    /// it need not hold: the same image made anew may have another.
    pub image: Digest,
}

/// What an instance may use. Limits the host cannot grant are clamped to what it can, never refused.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes; the kernel kills beyond it.
    pub memory_bytes: u64,
    /// CPU weight relative to a Standard-1X dyno (1): a share under contention.
    pub cpu_weight: u32,
    /// Processes and threads.
    pub processes: u32,
    /// The writable layer in bytes.
    pub disk_bytes: u64,
}

/// A started instance.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub struct Started {
    /// Where it can be reached from the host. Not given to another instance before [`crate::Request::Remove`].
    pub address: Ipv4Addr,
}

/// What the engine knows of an instance.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct InstanceStatus {
    /// Its spec.
    pub spec: InstanceSpec,
    /// Where it can be reached.
    pub address: Ipv4Addr,
    /// Whether it runs.
    pub state: InstanceState,
}

/// Whether an instance runs.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Its process runs; `listening` once its port is bound on an address the router can reach.
    Running {
        /// Where it listens.
        listening: Option<SocketAddrV4>,
    },
    /// Its process ended. It is kept until [`crate::Request::Remove`], so that no end is missed.
    Exited(Exit),
}

/// How an instance ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub struct Exit {
    /// The exit status as a shell tells it: the code, or 128 plus the signal's number.
    pub status: i32,
    /// Whether the kernel killed in it for memory.
    pub out_of_memory: bool,
}

/// What packing made.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Packed {
    /// SHA-256 of the normalised tar: the layer's name.
    pub digest: Digest,
    /// Bytes of the tar.
    pub tar_bytes: u64,
    /// Bytes of the durable blob (tar.zst).
    pub blob_bytes: u64,
}

/// What [`crate::Request::Discard`] did.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Discarded {
    /// Images deleted.
    pub images: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Images that stay because an instance stands on them.
    pub in_use: u64,
}

/// Which side of git's smart protocol to run on a repository.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum GitService {
    /// `git upload-pack --http-backend-info-refs`: what a clone asks first.
    AdvertiseUpload,
    /// `git upload-pack --stateless-rpc`.
    Upload,
    /// `git receive-pack --http-backend-info-refs`: what a push asks first.
    AdvertiseReceive,
    /// `git receive-pack --stateless-rpc`, with the pre-receive hook.
    Receive,
}
