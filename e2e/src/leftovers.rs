//! What an install left on the machine after `slipway down`: nothing, or the test fails.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, run};

/// Everything of an install that is still there, a line each.
pub fn leftovers(install: &str, data: &Path) -> Result<Vec<String>, Failure> {
    let (name, data) = (format!("slipway-{install}"), data.to_string_lossy().into_owned());
    let mut left = Vec::new();
    let mut note = |kind: &str, found: Vec<String>| left.extend(found.into_iter().map(|one| format!("{kind}: {one}")));
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    // Below the data folder: the folder itself may be a disk of the test's.
    note("mount", lines_with(&mounts, &[&name, &format!("{data}/")]));
    note("nft table", lines_with(&run(Command::new("nft").args(["list", "tables"]))?.good()?.stdout, &[&name]));
    let addresses = run(Command::new("ip").args(["-oneline", "address"]))?.good()?.stdout;
    note("address or link", lines_with(&addresses, &[&format!("lo:{install}"), &format!("{install}-")]));
    note("link", named(Path::new("/sys/class/net"), |link| link.starts_with(&format!("{install}-")))?);
    note("namespace", named_if_there(Path::new("/run/netns"), |netns| netns.contains(install))?);
    note("loop device", lines_with(&run(Command::new("losetup").arg("--list"))?.good()?.stdout, &[&data]));
    for root in [PathBuf::from("/sys/fs/cgroup")].into_iter().chain(folders(Path::new("/sys/fs/cgroup"))?) {
        note("cgroup", named(&root, |group| group == name)?);
    }
    note("folder", named(Path::new("/run"), |folder| folder == name)?);
    note("process", processes(&[&name, &data])?);
    Ok(left)
}

fn lines_with(text: &str, words: &[&str]) -> Vec<String> {
    text.lines().filter(|line| words.iter().any(|word| line.contains(word))).map(str::to_owned).collect()
}

fn named(folder: &Path, is: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.filter(|name| name.as_ref().map_or(true, |name| is(name))).collect()
}

fn named_if_there(folder: &Path, is: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
    if folder.exists() { named(folder, is) } else { Ok(Vec::new()) }
}

fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    paths.filter(|path| path.as_ref().map_or(true, |path| path.is_dir())).collect()
}

/// Programs of the platform's whose command line or open files name one of the words.
pub(crate) fn processes(words: &[&str]) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for process in folders(Path::new("/proc"))? {
        // It may end while it is looked at.
        let Ok(program) = fs::read_link(process.join("exe")) else { continue };
        if !program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("slipway")) {
            continue;
        }
        let command = fs::read(process.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let files = folders_or_files(&process.join("fd"));
        if words.iter().any(|word| command.contains(word) || files.iter().any(|file| file.contains(word))) {
            found.push(format!("{} {command}", process.display()));
        }
    }
    Ok(found)
}

fn folders_or_files(fds: &Path) -> Vec<String> {
    let fds = fs::read_dir(fds).into_iter().flatten().flatten();
    fds.filter_map(|fd| Some(fs::read_link(fd.path()).ok()?.to_string_lossy().into_owned())).collect()
}
