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

/// Forgets what an upgrade of before kept: to go back to that would be to go back too far.
pub(super) fn forget_kept(folder: &Path) -> io::Result<()> {
    for name in PROGRAMS {
        match fs::remove_file(folder.join(name).with_extension("before")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
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
    // A file out of a package is as old as its source, so that a newer program may be older than the copy of the one before.
    let looks = |metadata: &fs::Metadata| (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
    let new = fs::metadata(from)?;
    if fs::metadata(to).is_ok_and(|old| looks(&old) == looks(&new)) {
        return Ok(());
    }
    put(from, to)
}

fn put(from: &Path, to: &Path) -> io::Result<()> {
    let beside = to.with_extension("new");
    fs::copy(from, &beside)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755))?;
    fs::File::options().write(true).open(&beside)?.set_modified(fs::metadata(from)?.modified()?)?;
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
    fn a_program_that_is_older_than_the_copy_is_copied_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (program, copy) = (folder.path().join("program"), folder.path().join("copy"));
        let written = |text: &str, seconds| {
            fs::write(&program, text).unwrap();
            let age = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            fs::File::options().write(true).open(&program).unwrap().set_modified(age).unwrap();
            copy_one(&program, &copy).unwrap();
            fs::read_to_string(&copy).unwrap()
        };
        assert_eq!(written("one", 2_000_000), "one");
        assert_eq!(written("two", 1_000_000), "two");
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
        fs::write(ours.path().join("slipway-static"), "a later one of ours").unwrap();
        forget_kept(ours.path()).unwrap();
        renew_ours(ours.path()).unwrap();
        assert_eq!(read("slipway-static"), b"a later one of ours", "nothing is kept of an earlier upgrade");
    }
}
