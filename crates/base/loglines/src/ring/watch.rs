//! Waiting for a file to change.
//!
//! The kernel gives a user few inotify instances (128 by default), far fewer than a machine may run dynos. So the
//! process has one, and one thread that reads it and passes notices on.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::sync::watch;

/// How long to wait at most though nothing was said: a notice can be missed.
const SLOW: Duration = Duration::from_secs(1);
/// How long to wait where the kernel gives no notices (a limit of its is reached).
const POLL: Duration = Duration::from_millis(50);

/// Says when a file may have changed.
#[derive(Debug)]
pub(super) struct Watch(Option<Watched>);

impl Watch {
    pub(super) fn new(file: &File) -> Self {
        Self(NOTICES.get_or_init(Notices::begin).as_ref().and_then(|notices| notices.watch(file).ok()))
    }

    /// Waits until the file may have changed since the last call. May be dropped before it is ready.
    pub(super) async fn changed(&mut self) {
        let Some(watched) = &mut self.0 else { return tokio::time::sleep(POLL).await };
        // Told, or the time has passed: the caller looks either way.
        drop(tokio::time::timeout(SLOW, watched.told.changed()).await);
    }
}

static NOTICES: OnceLock<Option<Notices>> = OnceLock::new();

/// The process's inotify instance.
#[derive(Debug)]
struct Notices {
    fd: OwnedFd,
    /// By the kernel's number for a file: how many watch it, and how they are told.
    files: Mutex<HashMap<i32, (usize, watch::Sender<()>)>>,
}

/// A file one of our watches is for.
#[derive(Debug)]
struct Watched {
    notices: &'static Notices,
    number: i32,
    told: watch::Receiver<()>,
}

impl Notices {
    /// Makes the instance and its thread; `None` if the kernel has none left.
    fn begin() -> Option<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC).ok()?;
        let reading = fd.try_clone().ok()?;
        std::thread::Builder::new().name("ring-notices".to_owned()).spawn(move || pass_on(&reading)).ok()?;
        Some(Self { fd, files: Mutex::default() })
    }

    fn files(&self) -> MutexGuard<'_, HashMap<i32, (usize, watch::Sender<()>)>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&'static self, file: &File) -> io::Result<Watched> {
        // Locked first: the same file has the same number, which must not be given up meanwhile.
        let mut files = self.files();
        // By its descriptor: the file's folder may be closed to us, and the file may have no name any more.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let number = inotify::add_watch(&self.fd, path, WatchFlags::MODIFY)?;
        let (watching, tell) = files.entry(number).or_insert_with(|| (0, watch::channel(()).0));
        *watching += 1;
        Ok(Watched { notices: self, number, told: tell.subscribe() })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut files = self.notices.files();
        let Some((watching, _)) = files.get_mut(&self.number) else { return };
        *watching -= 1;
        if *watching == 0 {
            files.remove(&self.number);
            // It fails only if the file is gone, and its number with it.
            inotify::remove_watch(&self.notices.fd, self.number).ok();
        }
    }
}

/// Reads notices for ever. Should that fail, watches end by their time.
fn pass_on(fd: &OwnedFd) {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(fd, &mut buffer);
    loop {
        let number = match reader.next() {
            Ok(notice) => notice.wd(),
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
        };
        if let Some(notices) = NOTICES.get().and_then(Option::as_ref)
            && let Some((_, tell)) = notices.files().get(&number)
        {
            tell.send_replace(());
        }
    }
}
