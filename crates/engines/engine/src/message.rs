//! The messages on the engine's socket.

use std::net::SocketAddrV4;

use serde::{Deserialize, Serialize};
use vocabulary::{AppId, Digest, DynoId};

use crate::{
    Discarded, Exit, GitService, InstalledStack, InstanceSpec, InstanceStatus, Kind, Packed, Started, Terminal, Usage,
};

/// The version of these messages; both sides must have the same.
pub const VERSION: u32 = 4;

/// The most layers in one message: a frame holds 1 MiB, a digest has 64 characters.
pub const PAGE: usize = 4096;

/// A frame towards the engine.
#[derive(Debug, Serialize, Deserialize)]
pub struct ToEngine {
    /// Chosen by the client; the reply carries it.
    pub sequence: u64,
    /// What is asked.
    pub request: Request,
}

/// A frame from the engine.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromEngine {
    /// The answer to a request; requests are answered in any order.
    Reply {
        /// The request's number.
        sequence: u64,
        /// The answer.
        reply: Result<Reply, Refusal>,
    },
    /// Something happened.
    Event(Event),
}

/// What the engine can be asked. `fds` tells the descriptors that come with it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// First on every connection. Of two control processes the one with the higher epoch stays connected.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// Microseconds since 1970 at which the client's process began.
        epoch: i64,
    },
    /// Start an instance. Fds: the launch (sealed), then one for each of `spec.fds`. Answer: [`Reply::Started`].
    Start(Box<InstanceSpec>),
    /// SIGTERM to all its processes, SIGKILL after `grace_ms`. Answered at once; [`Event::Exited`] follows.
    Stop {
        /// Which.
        id: DynoId,
        /// Milliseconds until SIGKILL.
        grace_ms: u64,
    },
    /// Forget an ended instance and free its address; one that runs is killed first.
    Remove {
        /// Which.
        id: DynoId,
    },
    /// Every instance. Answer: [`Reply::Instances`].
    List,
    /// What every running instance uses now. Answer: [`Reply::Usage`].
    Usage,
    /// The ring its output goes to. Answer: [`Reply::Done`] with one descriptor, readable.
    Output {
        /// Which.
        id: DynoId,
    },
    /// Take the other end of an attached instance's standard streams. Once only. Answer: [`Reply::Done`] with one
    /// descriptor, a stream socket: what is written to it is input, what is read from it is output. Shutting down its
    /// writing half ends the input (without a terminal); closing it hangs up; its end is the end of the output.
    Attach {
        /// Which; its [`crate::Stdio`] is attached.
        id: DynoId,
    },
    /// Run one more program in a running instance, with the same rights and limits. Fds: the launch (sealed). Answer:
    /// [`Reply::Done`] with one descriptor, as for [`Request::Attach`]; it ends when the program ended.
    Exec {
        /// Which.
        id: DynoId,
        /// The terminal it runs in, or plain pipes.
        terminal: Option<Terminal>,
    },
    /// Make a layer of a tree: reads a tar from the first descriptor until its end, normalises it (sorted, owner
    /// 1000, no times, no devices, no path that leaves the tree), puts it under `prefix`, writes tar.zst to the
    /// second. Answer: [`Reply::Packed`].
    Pack {
        /// Where the tree is mounted inside an instance, such as `/app`; absolute, without `..`.
        prefix: String,
        /// The most bytes of files the tree may hold.
        limit_bytes: u64,
    },
    /// Make the host's image of a layer again from its blob. Fds: the tar.zst. Its digest must be `digest`.
    Import {
        /// The layer.
        digest: Digest,
    },
    /// Which of these layers the host has no image of. Answer: [`Reply::Missing`].
    Missing {
        /// Layers asked about.
        layers: Vec<Digest>,
    },
    /// Which layers the host has images of: in order, those behind `after`, at most [`PAGE`]. Answer:
    /// [`Reply::Layers`].
    Layers {
        /// The last one that is known.
        after: Option<Digest>,
    },
    /// Delete the images of these layers with their mounts and loop devices, but those of an instance that was not
    /// removed; and let go of mounts that nobody needed for a while. [`Request::Import`] brings an image back. Answer:
    /// [`Reply::Discarded`].
    Discard {
        /// At most [`PAGE`].
        layers: Vec<Digest>,
    },
    /// Which stack images are installed. Answer: [`Reply::Stacks`].
    Stacks,
    /// Make an empty bare repository for an app, if it has none.
    CreateRepository {
        /// Whose.
        app: AppId,
    },
    /// Delete an app's repository.
    RemoveRepository {
        /// Whose.
        app: AppId,
    },
    /// Which apps have a repository. Answer: [`Reply::Repositories`].
    Repositories,
    /// Pack an app's repository and delete what nothing in it leads to, if there is enough of it.
    TidyRepository {
        /// Whose.
        app: AppId,
    },
    /// Run git on an app's repository as its own user. Fds: stdin, stdout, stderr, and for [`GitService::Receive`]
    /// two more that the pre-receive hook finds as 3 (it writes) and 4 (it reads). Answer when git ended:
    /// [`Reply::GitExited`].
    Git {
        /// Whose.
        app: AppId,
        /// Which side.
        service: GitService,
        /// The client's `Git-Protocol` header, such as `version=2`.
        protocol: Option<String>,
    },
}

/// A good answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is done.
    Done,
    /// The instance runs.
    Started(Started),
    /// Every instance.
    Instances(Vec<InstanceStatus>),
    /// What running instances use.
    Usage(Vec<Usage>),
    /// The layer is made.
    Packed(Packed),
    /// Layers without an image.
    Missing(Vec<Digest>),
    /// Layers with an image.
    Layers(Vec<Digest>),
    /// Images were deleted.
    Discarded(Discarded),
    /// The apps that have a repository.
    Repositories(Vec<AppId>),
    /// The installed stack images that are whole, by name.
    Stacks(Vec<InstalledStack>),
    /// Git ended with this status.
    GitExited(i32),
}

/// Why the engine did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The request makes no sense: a bad prefix, missing descriptors, an unknown version.
    #[error("the engine refuses the request: {0}")]
    Invalid(String),
    /// There is no such instance, layer, stack or repository.
    #[error("the engine has no {0}")]
    NotFound(String),
    /// The tree is larger than allowed.
    #[error("the tree holds more than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The machine could not do it; the text tells each cause.
    #[error("the engine failed: {0}")]
    Failed(String),
}

/// Something that happened to an instance, or to the connection.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The instance was started; its output can be had ([`Request::Output`]).
    Started {
        /// Which.
        id: DynoId,
        /// What for.
        kind: Kind,
        /// Whose.
        app: AppId,
        /// Its name: `web.1`.
        name: String,
    },
    /// The instance's expected port is bound where the router can reach it.
    Listening {
        /// Which.
        id: DynoId,
        /// Where.
        address: SocketAddrV4,
    },
    /// The expected port is bound, but on 127.0.0.1 only, where no request can arrive.
    LoopbackOnly {
        /// Which.
        id: DynoId,
    },
    /// Nobody attached to the instance's streams in time, or whoever did has gone; its processes were told to end, by
    /// SIGTERM in the first case and SIGHUP in the second.
    Unattached {
        /// Which.
        id: DynoId,
        /// Whether somebody was there.
        came: bool,
    },
    /// The instance's process ended.
    Exited {
        /// Which.
        id: DynoId,
        /// How.
        exit: Exit,
    },
    /// Said by the client itself: the connection is new; events before it may have been missed.
    Connected,
}
