//! The folder in which a test arms the platform's crash points (crate `crashpoints`).

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

/// The folder; deleted when dropped.
#[derive(Debug)]
pub struct CrashPoints(TempDir);

impl CrashPoints {
    /// A folder that every user of the platform may write to.
    pub fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("slipway-points-").tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
        Ok(Self(folder))
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Has the `nth` process to reach a point die there.
    pub fn arm(&self, point: &str, nth: u32) -> io::Result<()> {
        drop(fs::remove_file(self.0.path().join("fired")));
        let (new, armed) = (self.0.path().join("new"), self.0.path().join("armed"));
        fs::write(&new, format!("{point} {nth}"))?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o666))?;
        fs::rename(new, armed)
    }

    /// Nobody is to die any more.
    pub fn disarm(&self) {
        drop(fs::remove_file(self.0.path().join("armed")));
    }

    /// Whether a process died at the point that was armed last.
    pub fn fired(&self) -> bool {
        self.0.path().join("fired").exists()
    }

    /// How often a point was reached so far.
    pub fn reached(&self, point: &str) -> usize {
        let text = fs::read_to_string(self.0.path().join("reached")).unwrap_or_default();
        text.lines().filter(|line| line.split(' ').next() == Some(point)).count()
    }
}
