//! Keeping a repository small.
//!
//! Pushes leave a pack or loose objects each, a branch that was forced elsewhere leaves what it led to before, and a git
//! that was killed leaves its quarantine. What nothing leads to is deleted once it is a day old: a push that is under
//! way meanwhile may count on an object it found, and no push lasts that long.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use engine::Refusal;
use vocabulary::AppId;

use super::{Repositories, failed};

/// Packs from which on they are made one: every fetch looks into each.
const PACKS: usize = 10;
/// Objects in one of the 256 folders of loose ones, as git estimates their number: about 1,000 in all.
const LOOSE_IN_ONE: usize = 4;
/// How long what nothing leads to stays.
const UNREACHABLE: Duration = Duration::from_hours(24);

impl Repositories {
    /// The apps that have a repository.
    pub fn list(&self) -> Result<Vec<AppId>, Refusal> {
        let entries = fs::read_dir(&self.config.folder).map_err(failed("list the repositories"))?;
        let app = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_suffix(".git")?.parse().ok();
        Ok(entries.filter_map(|entry| app(entry.ok()?)).collect())
    }

    /// Packs an app's repository and deletes what nothing leads to, if there is enough of it.
    pub async fn tidy(&self, app: AppId) -> Result<(), Refusal> {
        let repository = self.path(app);
        if !repository.is_dir() || !needs_it(&repository.join("objects")).map_err(failed("look at a repository"))? {
            return Ok(());
        }
        let mut command = self.git(&repository);
        let age = format!("--prune={}.seconds.ago", UNREACHABLE.as_secs());
        command.args(["gc", "--quiet", &age]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // One pack of all there is: larger than any single push.
        match self.wait(&self.housekeepers, command, &repository, vec![], u64::MAX).await? {
            0 => Ok(()),
            status => Err(Refusal::Failed(format!("git gc ended with {status}"))),
        }
    }
}

fn needs_it(objects: &Path) -> io::Result<bool> {
    let pack = objects.join("pack");
    let packs = names(&pack)?.into_iter().filter(|name| Path::new(name).extension().is_some_and(|end| end == "pack"));
    if packs.count() >= PACKS || names(&objects.join("17"))?.len() >= LOOSE_IN_ONE {
        return Ok(true);
    }
    // Quarantines and half-written packs are `tmp_…`; what nothing leads to is in a pack with `.mtimes`.
    let leftover = |name: &String| name.starts_with("tmp_") || name.ends_with(".mtimes");
    let of = |folder: &Path| -> io::Result<_> {
        Ok(names(folder)?.into_iter().filter(leftover).any(|name| is_old(&folder.join(name))))
    };
    Ok(of(objects)? || of(&pack)?)
}

/// The names in a folder; none if there is no folder.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        Err(error) => Err(error),
    }
}

fn is_old(path: &Path) -> bool {
    let modified = fs::symlink_metadata(path).and_then(|about| about.modified());
    modified.is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age > UNREACHABLE))
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};

    use super::*;

    fn objects() -> tempfile::TempDir {
        let objects = tempfile::tempdir().unwrap();
        for folder in ["pack", "info", "17"] {
            fs::create_dir(objects.path().join(folder)).unwrap();
        }
        objects
    }

    fn make(objects: &tempfile::TempDir, name: &str, age: Duration) {
        let file = File::create(objects.path().join(name)).unwrap();
        file.set_times(FileTimes::new().set_modified(SystemTime::now() - age)).unwrap();
    }

    fn needed(files: &[(&str, u64)]) -> bool {
        let objects = objects();
        for (name, hours) in files {
            make(&objects, name, Duration::from_hours(*hours));
        }
        needs_it(objects.path()).unwrap()
    }

    #[test]
    fn a_small_repository_is_left_alone() {
        assert!(!needed(&[]));
        assert!(!needed(&[("pack/a.pack", 99), ("pack/a.idx", 99), ("17/aa", 99), ("17/ab", 99)]));
    }

    #[test]
    fn many_packs_or_loose_objects_are_packed() {
        let packs: Vec<String> = (0..PACKS).map(|number| format!("pack/{number}.pack")).collect();
        let packs: Vec<(&str, u64)> = packs.iter().map(|name| (name.as_str(), 0)).collect();
        assert!(needed(&packs) && !needed(&packs[1..]));
        assert!(needed(&[("17/aa", 0), ("17/ab", 0), ("17/ac", 0), ("17/ad", 0)]));
    }

    #[test]
    fn leftovers_go_when_they_are_a_day_old() {
        for name in ["tmp_objdir-incoming-x", "pack/tmp_pack_x", "pack/x.mtimes"] {
            assert!(needed(&[(name, 25)]), "{name}");
            assert!(!needed(&[(name, 23)]), "{name}");
        }
    }
}
