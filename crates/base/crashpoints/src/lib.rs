//! Crash points: the named moments at which a test has a process of the platform die, as if it had been killed there.
//!
//! Knows names and one folder; knows not what happens at a point. A process that was given no folder ([`watch`]) passes
//! every point for the price of one load from memory, so that what is tested is what is shipped. With a folder:
//!
//! ```text
//! FOLDER/armed     NAME N     the N-th process to reach the point NAME dies of SIGKILL
//! FOLDER/fired     NAME 1     where the last one died; `armed` is renamed to it before the signal
//! FOLDER/reached   NAME PID   one line for every point that was reached, in order
//! ```
//!
//! There is one table of points, [`Point`]: a test that goes through [`Point::ALL`] has forgotten none, and a point that
//! nothing reaches any more fails it.

mod point;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::process::{Signal, getpid, kill_process};

pub use point::Point;

static FOLDER: OnceLock<PathBuf> = OnceLock::new();
/// Threads of one process reach points one after the other, so that of two only one counts down or dies.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// From now on this process notes the points it reaches in `folder` and dies at the one that is armed there. Only the
/// first call counts.
pub fn watch(folder: &Path) {
    FOLDER.get_or_init(|| folder.to_owned());
}

/// This process is at a point. It may not return.
#[inline]
pub fn reach(point: Point) {
    if let Some(folder) = FOLDER.get() {
        reached(folder, point);
    }
}

#[cold]
fn reached(folder: &Path, point: Point) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // A test whose folder is gone has ended; the process goes on undisturbed.
    drop(note(folder, point));
    if is_due(folder, point).unwrap_or(false) {
        while kill_process(getpid(), Signal::KILL).is_ok() {
            std::thread::park();
        }
    }
}

fn note(folder: &Path, point: Point) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(folder.join("reached"))?;
    file.write_all(format!("{} {}\n", point.name(), getpid()).as_bytes())
}

/// Whether the process is to die here; it is then the only one.
fn is_due(folder: &Path, point: Point) -> io::Result<bool> {
    let armed = folder.join("armed");
    let text = fs::read_to_string(&armed)?;
    let (name, count) = text.trim().split_once(' ').unwrap_or((text.trim(), "1"));
    if name != point.name() {
        return Ok(false);
    }
    match count.parse::<u32>() {
        Ok(count) if count > 1 => fs::write(&armed, format!("{name} {}", count - 1)).map(|()| false),
        _ => fs::rename(&armed, folder.join("fired")).map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_nth_who_comes_is_due_and_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let due = |point| is_due(folder.path(), point).unwrap_or(false);
        assert!(!due(Point::StoreCommitted), "nothing is armed");
        fs::write(folder.path().join("armed"), "store.committed 2").unwrap();
        assert!(!due(Point::StoreCommitting), "another point");
        assert!(!due(Point::StoreCommitted), "the first");
        assert!(due(Point::StoreCommitted), "the second");
        assert!(!due(Point::StoreCommitted), "it fired already");
        assert_eq!(fs::read_to_string(folder.path().join("fired")).unwrap(), "store.committed 1");
    }

    #[test]
    fn every_name_is_one_points() {
        let names: BTreeSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
    }
}
