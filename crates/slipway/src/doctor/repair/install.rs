//! What an install needs on the machine, and what a dead one left.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::{Repair, failed, mended};
use crate::layout::Layout;
use crate::roles::instance_network;
use crate::settings::Settings;
use crate::supervisor::{Folder, folders, sweep_dead};
use crate::users::{User, Users, own_folder};

pub(super) fn all(settings: &Settings, layout: &Layout) -> Vec<Repair> {
    let mut repairs: Vec<Repair> = dead(layout).into_iter().collect();
    match users() {
        Ok((users, made)) => {
            repairs.extend(made);
            repairs.extend(folders(layout, &users).iter().filter_map(folder));
            repairs.extend(files(&layout.at("keys"), users.control, true));
            repairs.extend(files(&layout.at("store"), users.control, false));
            repairs.extend(network(settings, layout, &users));
        }
        Err(error) => {
            let advice = "look whether /etc/passwd can be written and useradd is there (apt-get install passwd)";
            repairs.push(failed("users", format!("the system users cannot be made: {error}"), advice));
        }
    }
    repairs
}

/// What is left in the kernel of an install of which nothing runs.
fn dead(layout: &Layout) -> Option<Repair> {
    match crate::block_on(sweep_dead(layout)) {
        Ok(left) if left.is_empty() => None,
        Ok(left) => Some(mended("leftovers", format!("took away what a platform that died left: {}", left.join(", ")))),
        Err(error) => Some(failed(
            "leftovers",
            format!("what a platform that died left cannot be taken away: {error}"),
            "slipway down; then fuser -vm /run/slipway-* tells who still uses it",
        )),
    }
}

fn users() -> io::Result<(Users, Option<Repair>)> {
    let missing = Users::missing()?;
    let users = Users::ensure()?;
    let made = (!missing.is_empty()).then(|| mended("users", format!("made the system users {}", missing.join(", "))));
    Ok((users, made))
}

/// Makes a folder that is missing, and gives it mode and owner that it should have.
fn folder(wanted: &Folder) -> Option<Repair> {
    let Folder { path, mode, owner } = wanted;
    let id = owner.map_or((0, 0), |user| (user.uid, user.gid));
    let doing = match fs::symlink_metadata(path) {
        Ok(about) if !about.is_dir() => {
            let advice = "move it away, and run this again";
            return Some(failed("folders", format!("{} is no folder", path.display()), advice));
        }
        Ok(about) if about.mode() & 0o7777 == *mode && (about.uid(), about.gid()) == id => return None,
        Ok(about) => format!(
            "gave {} mode {mode:o} and owner {} (it had {:o} and {})",
            path.display(),
            id.0,
            about.mode() & 0o7777,
            about.uid()
        ),
        Err(_) => format!("made {}", path.display()),
    };
    Some(match own_folder(path, *mode, *owner) {
        Ok(()) => mended("folders", doing),
        Err(error) => failed(
            "folders",
            format!("{} cannot be put right: {error}", path.display()),
            "look whether its disk is full or mounted read-only (df, mount)",
        ),
    })
}

/// Gives control what is its own in a folder: somebody who looked into the record as root left files of root's there,
/// or opened keys to others.
fn files(folder: &Path, owner: User, private: bool) -> Vec<Repair> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let tell = |path: &Path| match file(path, owner, private) {
        Ok(told) => told.map(|told| mended("folders", told)),
        Err(error) => Some(failed(
            "folders",
            format!("{} cannot be given to slipway: {error}", path.display()),
            "look whether its disk is full or mounted read-only (df, mount)",
        )),
    };
    entries.filter_map(|entry| tell(&entry.path())).collect()
}

/// Answers what it did. Follows no link and leaves a file of two names as it is: the folder is control's, which could
/// lead root to files of others.
fn file(path: &Path, owner: User, private: bool) -> io::Result<Option<String>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()).map(fs::File::from) else { return Ok(None) };
    let about = file.metadata()?;
    let (uid, mode) = (about.uid(), about.mode() & 0o777);
    let open = private && mode & 0o077 != 0;
    if !about.is_file() || about.nlink() != 1 || (uid == owner.uid && !open) {
        return Ok(None);
    }
    fchown(&file, Some(owner.uid), Some(owner.gid))?;
    if open {
        file.set_permissions(Permissions::from_mode(mode & 0o700))?;
    }
    Ok(Some(format!("gave {} to slipway (it had mode {mode:o} and owner {uid})", path.display())))
}

/// What the engine does every few seconds, now, and also while there is no engine: dynos go on without it.
fn network(settings: &Settings, layout: &Layout, users: &Users) -> Vec<Repair> {
    // What runs has the settings of its start.
    let left = fs::read(layout.in_run("settings.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(config) = instance_network(left.as_ref().unwrap_or(settings), layout, users) else { return vec![] };
    match crate::block_on(local::network::repair(&config)) {
        Ok(told) => told.into_iter().map(|told| mended("firewall", told)).collect(),
        Err(error) => vec![failed(
            "firewall",
            error.to_string(),
            "nft list ruleset tells what is there; `slipway up` (or systemctl restart slipway) sets all of it up anew, \
             and dynos go on",
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: User = User { uid: 4711, gid: 4712 };

    /// Needs root, as `chown` does.
    #[test]
    fn a_folder_is_made_and_put_right_once() {
        let data = tempfile::tempdir().unwrap();
        let wanted = Folder { path: data.path().join("keys"), mode: 0o700, owner: Some(OWNER) };
        let made = folder(&wanted).unwrap();
        assert_eq!((made.mended, made.text), (true, format!("made {}", wanted.path.display())));
        assert_eq!(folder(&wanted), None);
        own_folder(&wanted.path, 0o777, None).unwrap();
        let told = folder(&wanted).unwrap();
        assert!(told.mended && told.text.ends_with("mode 700 and owner 4711 (it had 777 and 0)"), "{told:?}");
        let about = fs::metadata(&wanted.path).unwrap();
        assert_eq!((about.mode() & 0o7777, about.uid(), about.gid()), (0o700, 4711, 4712));
        fs::remove_dir(&wanted.path).unwrap();
        fs::write(&wanted.path, "").unwrap();
        assert!(!folder(&wanted).unwrap().mended, "a file is in its place");
    }

    #[test]
    fn files_of_control_are_given_back_and_nothing_they_lead_to() {
        let data = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new_in(&data).unwrap();
        let keys = data.path().join("keys");
        fs::create_dir(&keys).unwrap();
        let put = |name: &str, mode: u32| {
            fs::write(keys.join(name), "").unwrap();
            fs::set_permissions(keys.join(name), Permissions::from_mode(mode)).unwrap();
        };
        put("seal.key", 0o644);
        put("fine", 0o600);
        std::os::unix::fs::chown(keys.join("fine"), Some(OWNER.uid), Some(OWNER.gid)).unwrap();
        std::os::unix::fs::symlink(outside.path(), keys.join("link")).unwrap();
        fs::hard_link(outside.path(), keys.join("name")).unwrap();
        let told = files(&keys, OWNER, true);
        assert!(told.len() == 1 && told[0].mended && told[0].text.contains("seal.key"), "{told:?}");
        let about = fs::metadata(keys.join("seal.key")).unwrap();
        assert_eq!((about.uid(), about.gid(), about.mode() & 0o777), (4711, 4712, 0o600));
        assert_eq!(fs::metadata(outside.path()).unwrap().uid(), 0);
        assert!(files(&keys, OWNER, true).is_empty());
    }
}
