//! A disk whose power can be cut: a file with ext4 on it, mounted.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{Failure, run};

/// The disk's size in bytes; the file is sparse.
const SIZE: u64 = 6 << 30;
/// `EXT4_IOC_SHUTDOWN` (fs/ext4/ext4.h) with `EXT4_GOING_FLAGS_NOLOGFLUSH`: from this moment nothing reaches the disk,
/// neither data nor what the journal has not written yet. perl is on every Debian, and needs no `unsafe` of ours.
const CUT: &str = "open my $folder, '<', shift or die $!; ioctl($folder, 0x8004587d, pack('L', 2)) or die $!";

/// The disk; unmounted and deleted when dropped.
#[derive(Debug)]
pub struct Disk {
    file: TempDir,
    at: Option<PathBuf>,
}

impl Disk {
    /// An empty disk, mounted nowhere.
    pub fn new() -> Result<Self, Failure> {
        let file = tempfile::Builder::new().prefix("slipway-disk-").tempdir()?;
        let disk = Self { file, at: None };
        File::create(disk.image())?.set_len(SIZE)?;
        run(Command::new("/sbin/mkfs.ext4").args(["-q", "-F"]).arg(disk.image()))?.good()?;
        Ok(disk)
    }

    /// Mounts it on a folder, which is made.
    pub fn mount(&mut self, at: &Path) -> Result<(), Failure> {
        fs::create_dir_all(at)?;
        run(Command::new("mount").args(["-o", "loop"]).arg(self.image()).arg(at))?.good()?;
        self.at = Some(at.to_owned());
        Ok(())
    }

    /// Cuts the power: what is not on the disk now never will be.
    pub fn cut(&self) -> Result<(), Failure> {
        let at = self.at.as_deref().ok_or("the disk is not mounted")?;
        run(Command::new("perl").args(["-e", CUT]).arg(at))?.good()?;
        Ok(())
    }

    /// Unmounts it. Fails while anything has a file of it open.
    pub fn unmount(&mut self) -> Result<(), Failure> {
        if let Some(at) = self.at.take() {
            run(Command::new("umount").arg(&at))?.good().inspect_err(|_| self.at = Some(at))?;
        }
        Ok(())
    }

    fn image(&self) -> PathBuf {
        self.file.path().join("disk.ext4")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(at) = self.at.take()
            && let Err(failure) = run(Command::new("umount").arg("--lazy").arg(at))
        {
            println!("could not unmount a disk: {failure}");
        }
    }
}
