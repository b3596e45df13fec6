//! What a platform that runs holds of the machine: as much as its dynos need, or something was left behind.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Failure;

/// One look at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Folders of instances: of their data, and of their sockets.
    pub instances: (usize, usize),
    /// Control groups of instances, in one hierarchy.
    pub groups: usize,
    /// The host's ends of instances' networks.
    pub links: usize,
    /// Images that are mounted and have no file.
    pub stray_mounts: Vec<String>,
    /// What was begun in the data folder and is neither finished nor gone.
    pub half_made: Vec<String>,
}

impl Held {
    pub(crate) fn look(install: &str, data: &Path) -> Result<Self, Failure> {
        let run = PathBuf::from(format!("/run/slipway-{install}"));
        let ids = |folder: PathBuf| names(&folder).into_iter().filter(|name| is_id(name)).count();
        let groups = hierarchies(install).iter().map(|group| ids(group.clone())).max();
        let links = names(Path::new("/sys/class/net")).into_iter();
        Ok(Self {
            instances: (ids(data.join("dynos")), ids(run.join("i"))),
            groups: groups.unwrap_or_default(),
            links: links.filter(|link| link.starts_with(&format!("{install}-"))).count(),
            stray_mounts: stray_mounts(&run.join("mounts"), data)?,
            half_made: half_made(data),
        })
    }

    /// Whether it is what so many instances need, and no more.
    pub fn fits(&self, instances: usize) -> bool {
        let exact = Self {
            instances: (instances, instances),
            groups: instances,
            links: instances,
            stray_mounts: vec![],
            half_made: vec![],
        };
        *self == exact
    }
}

/// Mounted layers (named by their digest, of 64 digits) whose image is gone.
fn stray_mounts(mounts: &Path, data: &Path) -> Result<Vec<String>, Failure> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let layers = points.filter_map(|point| Some(Path::new(point).strip_prefix(mounts).ok()?.to_str()?.to_owned()));
    let gone = |digest: &String| digest.len() == 64 && !data.join("images").join(format!("{digest}.sqfs")).exists();
    Ok(layers.filter(gone).collect())
}

fn half_made(data: &Path) -> Vec<String> {
    let begun = [
        ("images", "tmp-", ""),
        ("blobs/drafts", "", ""),
        ("pushes", "", ""),
        ("git", "new-", ""),
        ("git", "gone-", ""),
        ("dynos", "", ".new"),
    ];
    let found = begun.into_iter().flat_map(|(folder, begin, end)| {
        let names = names(&data.join(folder)).into_iter();
        names
            .filter(move |name| name.starts_with(begin) && name.ends_with(end))
            .map(move |name| format!("{folder}/{name}"))
    });
    found.collect()
}

/// Every process of an install: in its control groups, or a program of ours that has to do with its folders.
pub(crate) fn processes_of(install: &str, data: &Path) -> Result<Vec<u32>, Failure> {
    let mut all: Vec<u32> = hierarchies(install).iter().flat_map(|group| members(group)).collect();
    let words = [format!("slipway-{install}"), data.to_string_lossy().into_owned()];
    for told in crate::leftovers::processes(&words.each_ref().map(String::as_str))? {
        let number: Option<u32> = told.strip_prefix("/proc/").and_then(|rest| rest.split(' ').next()?.parse().ok());
        all.extend(number);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn members(group: &Path) -> Vec<u32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let below = names(group).into_iter().map(|name| group.join(name)).filter(|path| path.is_dir());
    text.lines().filter_map(|line| line.parse().ok()).chain(below.flat_map(|group| members(&group))).collect()
}

/// The install's top groups: one in each hierarchy of cgroup v1, or the one of v2.
fn hierarchies(install: &str) -> Vec<PathBuf> {
    let top = PathBuf::from("/sys/fs/cgroup");
    let roots = names(&top).into_iter().map(|name| top.join(name)).chain([top.clone()]);
    roots.map(|root| root.join(format!("slipway-{install}"))).filter(|group| group.is_dir()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Instances are named by ids of 36 letters.
fn is_id(name: &str) -> bool {
    name.len() == 36 && name.bytes().filter(|byte| *byte == b'-').count() == 4
}
