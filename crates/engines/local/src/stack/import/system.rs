//! What a stack must have, and what we add to it so that instances can run on it.
//!
//! An image must bring a system for x86-64 with glibc, `/bin/bash`, `/bin/sh` and `/usr/bin/env`: the commands of
//! Procfiles and the scripts of buildpacks run in them, and what npm and its kin ship prebuilt is linked with glibc. We add
//! the user with id 1000 whom apps run as, the folders that are mounted over, and the host's certificates.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::child::{Problem, Report};
use super::merged::{Entry, Kind, Merged};
use crate::images::packer::{MODIFIED, Spool};
use crate::images::tree::{Content, TreePath};

/// Programs without which nothing runs.
const PROGRAMS: [&str; 3] = ["/bin/bash", "/bin/sh", "/usr/bin/env"];
/// Where every dynamically linked program of glibc on x86-64 finds its loader.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
/// What Heroku's buildpacks call without bringing it.
const TOOLS: [&str; 12] =
    ["curl", "git", "gzip", "jq", "make", "gcc", "patch", "python3", "tar", "unzip", "xz", "zstd"];
/// Folders that instances need, and whose each is. Instances follow no link to them.
const FOLDERS: [(&str, u64, u32); 12] = [
    ("app", APP, 0o755),
    ("cache", APP, 0o755),
    (".slipway", 0, 0o755),
    ("dev", 0, 0o755),
    ("etc", 0, 0o755),
    ("home", 0, 0o755),
    ("proc", 0, 0o755),
    ("run", 0, 0o755),
    ("sys", 0, 0o755),
    ("tmp", 0, 0o1777),
    ("var", 0, 0o755),
    ("var/tmp", 0, 0o1777),
];
/// Files that instances replace.
const REPLACED: [&str; 3] = ["etc/hosts", "etc/hostname", "etc/resolv.conf"];
/// Where OpenSSL, curl, git and their kin look on Debian and Ubuntu.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";
/// The user inside an instance.
const APP: u64 = 1000;
/// The most of a file of the image that is read here.
const MAX_FILE: u64 = 1 << 20;

/// Checks the tree and adds to it. `reading` reads what `spool` wrote.
pub(super) fn complete(
    merged: &mut Merged,
    spool: &mut Spool<'_>,
    reading: &File,
    certificates: &str,
) -> Result<Report, Problem> {
    spool.flush()?;
    check(merged, reading)?;
    for (path, owner, mode) in FOLDERS {
        folder(merged, path, owner, mode)?;
    }
    for path in REPLACED {
        file(merged, spool, path, b"")?;
    }
    file(merged, spool, CERTIFICATES, certificates.as_bytes())?;
    let app = format!("app:x:{APP}:{APP}::/app:/bin/bash\n");
    entry_for_app(merged, spool, reading, "etc/passwd", &app)?;
    entry_for_app(merged, spool, reading, "etc/group", &format!("app:x:{APP}:\n"))?;
    let release = contents(merged, reading, "/etc/os-release").unwrap_or_default();
    Ok(Report { system: pretty_name(&String::from_utf8_lossy(&release)), lacks: lacks(merged), ..Report::default() })
}

fn check(merged: &Merged, reading: &File) -> Result<(), Problem> {
    let unfit = |text: String| Err(Problem::Unfit(text));
    for path in PROGRAMS {
        if program(merged, path).is_none() {
            return unfit(format!("it has no program {path}, which apps and buildpacks are started with"));
        }
    }
    if program(merged, LOADER).is_none() {
        return unfit(format!("it has no {LOADER}: a stack needs glibc for x86-64 (Alpine's images have musl)"));
    }
    let mut head = program(merged, "/bin/bash").map(|content| start(reading, &content, 20)).unwrap_or_default();
    head.truncate(20);
    // The ELF header: magic, 64 bits, little endian, and machine 62 (x86-64).
    if !head.starts_with(b"\x7fELF\x02\x01") || head.get(18..20) != Some(&[62, 0]) {
        return unfit("its /bin/bash is no program for x86-64".to_owned());
    }
    Ok(())
}

fn lacks(merged: &Merged) -> Vec<String> {
    let folders = ["/usr/local/bin", "/usr/bin", "/bin"];
    let there = |name: &str| folders.iter().any(|folder| program(merged, &format!("{folder}/{name}")).is_some());
    TOOLS.into_iter().filter(|name| !there(name)).map(str::to_owned).collect()
}

fn program(merged: &Merged, path: &str) -> Option<Content> {
    match merged.find(path)? {
        Entry { kind: Kind::File(content), mode, .. } if mode & 0o111 != 0 => Some(*content),
        _ => None,
    }
}

/// A real folder at this path, whatever stood there.
fn folder(merged: &mut Merged, path: &str, owner: u64, mode: u32) -> Result<(), Problem> {
    let path = TreePath::parse(path.as_bytes())?;
    match merged.at_mut(&path) {
        Some(there) if there.kind == Kind::Folder => {
            (there.uid, there.gid, there.mode) = (owner, owner, mode);
            Ok(())
        }
        _ => {
            merged.clear(&path);
            Ok(merged.put(path, Entry::new(Kind::Folder, mode, (owner, owner), MODIFIED))?)
        }
    }
}

/// A plain file of root's with these bytes, whatever stood there.
fn file(merged: &mut Merged, spool: &mut Spool<'_>, path: &str, mut bytes: &[u8]) -> Result<(), Problem> {
    let path = TreePath::parse(path.as_bytes())?;
    // A part of the way that is a link would lead elsewhere.
    for parent in path.parents() {
        if merged.at_mut(&parent).is_some_and(|above| above.kind != Kind::Folder) {
            merged.clear(&parent);
        }
    }
    merged.clear(&path);
    let content = spool.take(&mut bytes, false)?;
    Ok(merged.put(path, Entry::new(Kind::File(content), 0o644, (0, 0), MODIFIED))?)
}

/// Adds a line to passwd or group, unless somebody has the id already; Heroku's own images have a user of that id.
fn entry_for_app(
    merged: &mut Merged,
    spool: &mut Spool<'_>,
    reading: &File,
    path: &str,
    line: &str,
) -> Result<(), Problem> {
    let mut text = contents(merged, reading, path).unwrap_or_else(|| b"root:x:0:0:root:/root:/bin/bash\n".to_vec());
    let id = APP.to_string();
    let has = |line: &[u8]| line.split(|byte| *byte == b':').nth(2) == Some(id.as_bytes());
    if text.split(|byte| *byte == b'\n').any(has) {
        return Ok(());
    }
    if text.last().is_some_and(|byte| *byte != b'\n') {
        text.push(b'\n');
    }
    text.extend_from_slice(line.as_bytes());
    file(merged, spool, path, &text)?;
    spool.flush().map_err(Into::into)
}

fn contents(merged: &Merged, reading: &File, path: &str) -> Option<Vec<u8>> {
    match &merged.find(path)?.kind {
        Kind::File(content) => Some(start(reading, content, MAX_FILE)),
        _ => None,
    }
}

/// A file's first bytes; none if they cannot be read.
fn start(reading: &File, content: &Content, most: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(content.length.min(most)).unwrap_or_default()];
    // The spool is written at the file's own position, so that one must not move.
    if reading.read_exact_at(&mut bytes, content.offset).is_ok() { bytes } else { vec![] }
}

fn pretty_name(release: &str) -> String {
    let value = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let value = value.unwrap_or("unknown system").trim_matches('"');
    value.chars().filter(|letter| !letter.is_control()).take(100).collect()
}
