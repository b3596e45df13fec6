//! What running instances use, read from their control groups. Nothing inside an instance is asked, and nothing it can
//! write is read but the states of its threads.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use engine::{MemoryUsage, Pages, Refusal, Usage};
use vocabulary::DynoId;

use super::cgroups::Accounts;
use super::{Instances, State};

impl Instances {
    /// What every running instance uses now. One that ends meanwhile is left out.
    pub async fn usage(&self) -> Result<Vec<Usage>, Refusal> {
        let running =
            |instance: &&std::sync::Arc<super::Instance>| matches!(&*instance.state.borrow(), State::Running { .. });
        let ids: Vec<DynoId> = self.known().values().filter(running).map(|instance| instance.id()).collect();
        let cgroups = self.shared.cgroups.clone();
        // Hundreds of files of the kernel's: fast, but not asynchronous.
        let read = move || ids.into_iter().filter_map(|id| usage(id, &cgroups.accounts(id)).ok()).collect();
        tokio::task::spawn_blocking(read).await.map_err(|error| Refusal::Failed(error.to_string()))
    }
}

fn usage(id: DynoId, accounts: &Accounts) -> io::Result<Usage> {
    let memory = accounts.memory.as_deref().map(|folder| memory(folder, accounts.v2)).transpose()?;
    let threads = accounts.threads.as_deref().map(fs::read_to_string).transpose()?;
    Ok(Usage { id, memory: memory.unwrap_or_default(), runnable: runnable(&threads.unwrap_or_default()) })
}

fn memory(folder: &Path, v2: bool) -> io::Result<MemoryUsage> {
    let stat = fs::read_to_string(folder.join("memory.stat"))?;
    if !v2 {
        return Ok(memory_v1(&stat));
    }
    // Kernels without swap have no such file.
    let swap = fs::read_to_string(folder.join("memory.swap.current")).unwrap_or_default();
    Ok(memory_v2(&stat, swap.trim().parse().unwrap_or_default()))
}

/// `memory.stat` of v1 (kernel, cgroup-v1/memory.rst, 5.2). What is on tmpfs counts there as cache, although no file
/// stands behind it.
fn memory_v1(stat: &str) -> MemoryUsage {
    let of = |name| field(stat, name).unwrap_or_default();
    MemoryUsage {
        rss_bytes: of("total_rss") + of("total_shmem"),
        swap_bytes: of("total_swap"),
        cache_bytes: of("total_cache").saturating_sub(of("total_shmem")),
        pages: Some(Pages { brought_in: of("total_pgpgin"), given_back: of("total_pgpgout") }),
    }
}

/// `memory.stat` of v2 (kernel, cgroup-v2.rst, Memory Interface Files).
fn memory_v2(stat: &str, swap_bytes: u64) -> MemoryUsage {
    let of = |name| field(stat, name).unwrap_or_default();
    MemoryUsage {
        rss_bytes: of("anon") + of("shmem"),
        swap_bytes,
        cache_bytes: of("file").saturating_sub(of("shmem")),
        pages: None,
    }
}

/// The number behind a name in a file of lines `name number`.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

/// How many of the listed threads run or are ready to. One that has ended meanwhile is neither.
fn runnable(threads: &str) -> u32 {
    let ready = |thread: &&str| {
        let mut head = [0; 128];
        let read = File::open(format!("/proc/{thread}/stat")).and_then(|mut file| file.read(&mut head));
        read.is_ok_and(|length| is_runnable(&head[..length]))
    };
    let count = threads.lines().take(Usage::MOST_THREADS).filter(ready).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// `/proc/ID/stat` begins `ID (NAME) STATE`. The name is the thread's own choice and may hold anything, brackets too,
/// so that the last bracket counts; it has at most 15 bytes, which `head` has room for.
fn is_runnable(head: &[u8]) -> bool {
    let name_ends = head.iter().take(40).rposition(|byte| *byte == b')');
    name_ends.is_some_and(|at| head.get(at + 2) == Some(&b'R'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_on_tmpfs_count_as_memory_and_pages_of_files_do_not() {
        let v1 = "cache 1\nrss 1\ntotal_cache 5000\ntotal_rss 1000\ntotal_rss_huge 7\ntotal_shmem 300\ntotal_swap 20\n\
                  total_pgpgin 11\ntotal_pgpgout 4\n";
        let usage = memory_v1(v1);
        assert_eq!((usage.rss_bytes, usage.swap_bytes, usage.cache_bytes), (1300, 20, 4700));
        assert_eq!((usage.total_bytes(), usage.pages), (1320, Some(Pages { brought_in: 11, given_back: 4 })));
        let usage = memory_v2("anon 1000\nfile 5000\nkernel 9\nshmem 300\nanon_thp 3\n", 20);
        assert_eq!((usage.rss_bytes, usage.swap_bytes, usage.cache_bytes), (1300, 20, 4700));
    }

    #[test]
    fn a_name_forges_no_state() {
        assert!(is_runnable(b"42 (perl) R 1 42"));
        assert!(!is_runnable(b"42 (perl) S 1 42"));
        assert!(!is_runnable(b"42 (a) R 1 (b) S 1 42"));
        assert!(!is_runnable(b"42 (perl"));
        assert!(!is_runnable(b""));
    }
}
