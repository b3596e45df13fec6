//! What a dyno costs that does nothing: memory of ours beside it, and of the kernel's.

use std::collections::HashMap;
use std::fs;
use std::thread;
use std::time::Duration;

use e2e::Failure;

use crate::ours::Ours;

/// How long the machine comes to rest before it is looked at.
const REST: Duration = Duration::from_secs(5);

/// Starts so many, looks, and ends them. Figures are of one dyno, in KiB.
pub(crate) fn measure(ours: &Ours, count: usize) -> Result<(), Failure> {
    // The first few pay for what all share.
    let few = ours.idle(8)?;
    thread::sleep(REST);
    let before = look(ours)?;
    let many = ours.idle(count)?;
    thread::sleep(REST);
    let after = look(ours)?;
    let each = |before: u64, after: u64| {
        #[expect(clippy::cast_precision_loss, reason = "a few gigabytes at most")]
        let more = after.saturating_sub(before) as f64;
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let dynos = count as f64;
        more / dynos
    };
    let (kernel, pss) = (each(before.0, after.0), each(before.1, after.1));
    println!("\n{count} idle dynos, each: {pss:.0} KiB of its parent and its first process, {kernel:.0} KiB slab");
    println!("  {:.2} MB each   budget 0.5 MB, goal 0.15 MB", (pss + kernel) * 1024.0 / 1e6);
    ours.remove(many.into_iter().chain(few).collect())
}

/// Slab and what ours hold. In this order: to look at processes makes the kernel remember them.
fn look(ours: &Ours) -> Result<(u64, u64), Failure> {
    Ok((slab()?, held(ours)?))
}

/// The shared memory counted once (PSS) of the engine's children, the parents of dynos, and of theirs, the first processes.
fn held(ours: &Ours) -> Result<u64, Failure> {
    let mut families: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_string_lossy().parse().ok()) else { continue };
        // A process may end while it is looked at. Behind its name, in parentheses, come its state and its parent.
        let Ok(stat) = fs::read_to_string(path.join("stat")) else { continue };
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        families.entry(parent.unwrap_or_default()).or_default().push(pid);
    }
    let of = |pid: &u32| families.get(pid).cloned().unwrap_or_default();
    let parents = of(&ours.engine_pid());
    let firsts: Vec<u32> = parents.iter().flat_map(of).collect();
    parents.into_iter().chain(firsts).map(pss).sum()
}

fn pss(pid: u32) -> Result<u64, Failure> {
    let Ok(memory) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { return Ok(0) };
    let line = memory.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or("0");
    Ok(line.split_whitespace().next().unwrap_or("0").parse()?)
}

fn slab() -> Result<u64, Failure> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Slab:")).ok_or("no slab in /proc/meminfo")?;
    Ok(line.split_whitespace().next().ok_or("no figure")?.parse()?)
}
