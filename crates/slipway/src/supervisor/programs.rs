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

/// Puts those of another program in their place, whatever is there; what was there is kept for [`renew_ours`].
pub(super) fn renew(from: &Path, folder: &Path) -> io::Result<()> {
    for name in PROGRAMS {
        let (from, to) = (from.with_file_name(name), folder.join(name));
        if from.exists() {
            if to.exists() {
                put(&to, &to.with_extension("before"))?;
            }
            put(&from, &to)?;
        }
    }
    Ok(())
}

/// Puts ours in their place again, whatever is there. What lay beside our own program may have been replaced by now.
pub(super) fn renew_ours(folder: &Path) -> io::Result<()> {
    for name in PROGRAMS.iter().filter(|name| **name != "slipway") {
        let (to, before) = (folder.join(name), folder.join(name).with_extension("before"));
        if before.exists() {
            put(&before, &to)?;
        }
    }
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

    #[test]
    fn those_of_another_program_are_gone_back_from() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(ours.path().join("slipway-static"), "ours").unwrap();
        copy(ours.path()).unwrap();
        for name in PROGRAMS {
            fs::write(theirs.path().join(name), "theirs").unwrap();
        }
        renew(&theirs.path().join("slipway"), ours.path()).unwrap();
        let read = |name| fs::read(ours.path().join(name)).unwrap();
        assert_eq!((read("slipway"), read("slipway-static")), (b"theirs".to_vec(), b"theirs".to_vec()));
        renew_ours(ours.path()).unwrap();
        assert_eq!(read("slipway-static"), b"ours");
        assert!(read("slipway") == fs::read("/proc/self/exe").unwrap(), "not our own program again");
    }
}
