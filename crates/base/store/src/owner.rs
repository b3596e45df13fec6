//! Whose a file with the record is: one control's, or one command's that copies it or changes its schema.
//!
//! SQLite lets many processes write in turn, and control relies on being the only one that runs jobs and numbers
//! releases. So whoever opens a file as its owner holds a lock on `FILE-owner` beside it. The kernel lets go of it when
//! the process ends, however it ends; the file stays and says nothing.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::Error;

/// How long to wait for one that is about to end, such as the control of a supervisor that was killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Becomes the owner, for as long as what is answered is kept.
pub(crate) async fn own(file: &Path) -> Result<File, Error> {
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(beside(file))?;
    let until = Instant::now() + PATIENCE;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < until => tokio::time::sleep(PAUSE).await,
            Err(TryLockError::WouldBlock) => return Err(Error::Owned),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

fn beside(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push("-owner");
    name.into()
}
