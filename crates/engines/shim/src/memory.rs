//! Makes an instance end as a whole when the kernel kills in it for memory.
//!
//! Version 2 of the control groups does that by itself (`memory.oom.group`). Version 1 kills one process and tells who
//! asked to be told (Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control"); the rest is done here.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

/// The kernel tells before it kills: how often it is looked whether it did, and how long is waited in between.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Kills for memory in one instance.
pub(crate) struct Memory {
    file: Option<PathBuf>,
    /// Those counted before the instance began; its group is new, so usually none.
    before: u64,
    told: Option<OwnedFd>,
}

impl Memory {
    /// Watches the file that counts kills; without one there is nothing to know.
    pub(crate) fn watch(file: Option<PathBuf>) -> Self {
        let before = file.as_deref().map_or(0, kills);
        // Without the word of v1 one process is killed and the others go on, which is the kernel's way.
        let told = file.as_deref().and_then(|file| ask_to_be_told(file).ok());
        Self { file, before, told }
    }

    /// Whether the kernel killed in the instance.
    pub(crate) fn has_killed(&self) -> bool {
        self.file.as_deref().map_or(0, kills) > self.before
    }

    /// What is readable when the kernel is about to kill.
    pub(crate) fn event(&self) -> Option<BorrowedFd<'_>> {
        self.told.as_ref().map(AsFd::as_fd)
    }

    /// Waits until the kernel did what it told of; false if it found another way.
    pub(crate) fn settle(&self) -> bool {
        if let Some(told) = &self.told {
            // How often it was told; once is enough, and nothing to read is no harm.
            rustix::io::read(told, &mut [0; 8]).unwrap_or(0);
        }
        (0..LOOKS).any(|_| {
            let killed = self.has_killed();
            if !killed {
                std::thread::sleep(PAUSE);
            }
            killed
        })
    }
}

/// The line `oom_kill N` of v1's memory.oom_control and v2's memory.events.
fn kills(file: &Path) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// v2 has no such file, which is an error here and no harm.
fn ask_to_be_told(file: &Path) -> io::Result<OwnedFd> {
    let (told, counts) = (eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?, File::open(file)?);
    let wish = format!("{} {}", told.as_raw_fd(), counts.as_raw_fd());
    // Opened, never made: `fs::write` would try to.
    let mut control = File::options().write(true).open(file.with_file_name("cgroup.event_control"))?;
    control.write_all(wish.as_bytes())?;
    Ok(told)
}
