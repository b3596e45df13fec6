//! Programs that users without rights start: copies in the data folder, as ours may lie where they cannot pass
//! (`/root` is closed on most machines).

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Ours, and the file server that becomes a runtime.
const PROGRAMS: [&str; 2] = ["slipway", "slipway-static"];

/// Copies what is missing or changed into `folder`; a copy appears whole.
pub(crate) fn copy(folder: &Path) -> io::Result<()> {
    let ours = fs::read_link("/proc/self/exe")?;
    for name in PROGRAMS {
        let from = if name == "slipway" { Path::new("/proc/self/exe").to_owned() } else { ours.with_file_name(name) };
        if from.exists() {
            copy_one(&from, &folder.join(name))?;
        }
    }
    Ok(())
}

/// Puts those of another program in their place, whatever is there.
pub(super) fn renew(from: &Path, folder: &Path) -> io::Result<()> {
    for name in PROGRAMS {
        let from = from.with_file_name(name);
        if from.exists() {
            put(&from, &folder.join(name))?;
        }
    }
    Ok(())
}

/// Puts ours in their place again, whatever is there.
pub(super) fn renew_ours(folder: &Path) -> io::Result<()> {
    put(Path::new("/proc/self/exe"), &folder.join("slipway"))
}

fn copy_one(from: &Path, to: &Path) -> io::Result<()> {
    let new = fs::metadata(from)?;
    if fs::metadata(to).is_ok_and(|old| old.len() == new.len() && old.mtime() >= new.mtime()) {
        return Ok(());
    }
    put(from, to)
}

fn put(from: &Path, to: &Path) -> io::Result<()> {
    let beside = to.with_extension("new");
    fs::copy(from, &beside)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755))?;
    fs::rename(beside, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_program_is_there_for_everybody_and_is_not_copied_twice() {
        let folder = tempfile::tempdir().unwrap();
        copy(folder.path()).unwrap();
        let first = fs::metadata(folder.path().join("slipway")).unwrap();
        assert_eq!(first.mode() & 0o777, 0o755);
        assert_eq!(first.len(), fs::metadata("/proc/self/exe").unwrap().len());
        copy(folder.path()).unwrap();
        assert_eq!(fs::metadata(folder.path().join("slipway")).unwrap().ino(), first.ino());
    }
}
