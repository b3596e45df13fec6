//! The programs the platform runs, and whether they are new enough.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::finding::{Finding, ok, problem};

/// A program, its Debian package, how it tells its version, and the oldest that will do.
struct Program {
    name: &'static str,
    package: &'static str,
    version: Option<(&'static str, [u32; 2])>,
}

const PROGRAMS: [Program; 7] = [
    // Quarantine and its environment for hooks, and safe.bareRepository.
    Program { name: "git", package: "git", version: Some(("--version", [2, 38])) },
    // JSON documents with meters.
    Program { name: "nft", package: "nftables", version: Some(("--version", [1, 0])) },
    // It reads tars from 4.5 on.
    Program { name: "mksquashfs", package: "squashfs-tools", version: Some(("-version", [4, 5])) },
    Program { name: "mmdebstrap", package: "mmdebstrap", version: Some(("--version", [1, 0])) },
    Program { name: "mkfs.ext4", package: "e2fsprogs", version: None },
    Program { name: "useradd", package: "passwd", version: None },
    Program { name: "ip", package: "iproute2", version: None },
];

pub(super) fn all() -> Vec<Finding> {
    PROGRAMS.iter().map(|program| examine(program, find(program.name).as_deref(), said)).collect()
}

fn find(name: &str) -> Option<PathBuf> {
    let folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}

fn said(path: &Path, flag: &str) -> String {
    let output = Command::new(path).arg(flag).stdin(Stdio::null()).output();
    output
        .map(|output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
        .unwrap_or_default()
}

fn examine(program: &Program, path: Option<&Path>, said: impl Fn(&Path, &str) -> String) -> Finding {
    let Program { name, package, version } = *program;
    let install = format!("apt-get install {package}");
    let Some(path) = path else { return problem(name, "it is missing", install) };
    let Some((flag, oldest)) = version else { return ok(name, path.display().to_string()) };
    let told = said(path, flag);
    match number(&told) {
        Some(found) if found < oldest => problem(
            name,
            format!("version {}.{} is older than {}.{}", found[0], found[1], oldest[0], oldest[1]),
            format!("{install} from a newer release of the distribution"),
        ),
        Some(found) => ok(name, format!("{} version {}.{}", path.display(), found[0], found[1])),
        None => ok(name, format!("{}, of a version it does not tell", path.display())),
    }
}

/// The first `1.2` of what a program says of itself.
fn number(told: &str) -> Option<[u32; 2]> {
    let line = told.lines().next()?;
    let mut words = line.split_whitespace().map(|word| word.trim_start_matches('v').split('.'));
    words.find_map(|mut parts| Some([parts.next()?.parse().ok()?, parts.next()?.parse().ok()?]))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn versions_are_read_as_programs_tell_them() {
        for (told, expected) in [
            ("git version 2.39.5\n", Some([2, 39])),
            ("nftables v1.0.6 (Lester Gooch #5)\n", Some([1, 0])),
            ("mksquashfs version 4.5.1 (2022/03/17)\ncopyright (C) 2022", Some([4, 5])),
            ("mmdebstrap 1.5.7\n", Some([1, 5])),
            ("usage: something\n", None),
        ] {
            assert_eq!(number(told), expected, "{told}");
        }
    }

    #[test]
    fn a_missing_or_old_program_is_a_problem_with_its_package() {
        let missing = examine(&PROGRAMS[2], None, |_, _| String::new());
        assert!(missing.told().contains("apt-get install squashfs-tools"), "{missing:?}");
        let old = examine(&PROGRAMS[2], Some(Path::new("/x")), |_, _| "mksquashfs version 4.4 (2019/08/29)".to_owned());
        assert!(old.level == Level::Problem && old.told().contains("4.4 is older than 4.5"), "{old:?}");
    }
}
