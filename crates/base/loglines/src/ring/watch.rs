//! Waiting for a file to change.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

/// How long to wait at most though nothing was said: a notice can be missed.
const SLOW: Duration = Duration::from_secs(1);
/// How long to wait where the kernel gives no notices (its limit of inotify instances is reached).
const POLL: Duration = Duration::from_millis(50);

/// Says when a file may have changed.
#[derive(Debug)]
pub(super) struct Watch(Option<AsyncFd<OwnedFd>>);

impl Watch {
    pub(super) fn new(file: &File) -> Self {
        Self(notices(file).ok())
    }

    /// Waits until the file may have changed since the last call.
    pub(super) async fn changed(&mut self) {
        let Some(fd) = &self.0 else { return tokio::time::sleep(POLL).await };
        if let Ok(Ok(mut ready)) = tokio::time::timeout(SLOW, fd.readable()).await {
            drain(fd.get_ref());
            ready.clear_ready();
        }
    }
}

#[expect(deprecated, reason = "its successor is unsafe for types whose descriptor may change; an OwnedFd's does not")]
fn notices(file: &File) -> io::Result<AsyncFd<OwnedFd>> {
    let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    // By its descriptor: the file's folder may be closed to us, and the file may have no name any more.
    inotify::add_watch(&fd, format!("/proc/self/fd/{}", file.as_raw_fd()), WatchFlags::MODIFY)?;
    AsyncFd::new(fd)
}

/// Reads all notices away. They are merged by the kernel, so there are few.
fn drain(fd: &OwnedFd) {
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut reader = inotify::Reader::new(fd, &mut buffer);
    for _ in 0..64 {
        if reader.next().is_err() {
            return;
        }
    }
}
