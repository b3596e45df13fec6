//! What the processes of an install take of the machine.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// What the kernel counts processor time in (`getconf CLK_TCK`; the same on every Linux we run on).
const TICK: Duration = Duration::from_millis(10);

/// A process as it is now.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// What it is: `control`, `shim`.
    pub name: String,
    /// Memory of its own and its share of what it has with others, in KiB.
    pub pss_kib: u64,
    /// Memory it has mapped, shared or not, in KiB.
    pub rss_kib: u64,
    /// Processor time since it began.
    pub cpu: Duration,
}

/// The processes with a word on their command line that holds one of `marks`: the install's id or its data folder.
pub fn processes(marks: &[&str]) -> io::Result<Vec<Process>> {
    let mut found = vec![];
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_string_lossy().parse().ok()) else { continue };
        // A process may end while it is looked at.
        let Ok(line) = fs::read(path.join("cmdline")) else { continue };
        let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        if words.iter().any(|word| marks.iter().any(|mark| word.contains(mark))) {
            let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
            found.extend(process(pid, named(&words), &path));
        }
    }
    found.sort_by(|one, other| (&one.name, one.pid).cmp(&(&other.name, other.pid)));
    Ok(found)
}

/// `slipway role control …` is control, `slipway up …` the supervisor, others are their program.
fn named(words: &[&str]) -> String {
    match words {
        [_, "role", role, ..] => (*role).to_owned(),
        [_, "up", ..] => "supervisor".to_owned(),
        [program, ..] => program.rsplit('/').next().unwrap_or_default().to_owned(),
        [] => String::new(),
    }
}

fn process(pid: i32, name: String, path: &Path) -> Option<Process> {
    let memory = fs::read_to_string(path.join("smaps_rollup")).ok()?;
    let field = |name: &str| {
        let line = memory.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let stat = fs::read_to_string(path.join("stat")).ok()?;
    let ticks = ticks(&stat)?;
    Some(Process { pid, name, pss_kib: field("Pss:")?, rss_kib: field("Rss:")?, cpu: TICK * ticks })
}

/// The program's name, in parentheses, may hold anything; behind it, user and system time are fields 12 and 13.
fn ticks(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u32>().ok()? + fields.get(12)?.parse::<u32>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_named_by_its_role() {
        assert_eq!(named(&["/proc/self/exe", "role", "control", "x"]), "control");
        assert_eq!(named(&["target/release/slipway", "up"]), "supervisor");
        assert_eq!(named(&["/opt/slipway-shim", "x"]), "slipway-shim");
    }

    #[test]
    fn time_is_read_behind_any_name() {
        assert_eq!(ticks("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 20 22 0 0"), Some(42));
    }

    #[test]
    fn this_process_is_found() {
        let mine = std::env::args().next().unwrap_or_default();
        let found = processes(&[&mine]).unwrap_or_default();
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        assert!(found.iter().any(|process| process.pid == pid && process.rss_kib > 0), "{found:?}");
    }
}
