//! What instances use of the machine.

use serde::{Deserialize, Serialize};
use vocabulary::DynoId;

/// What a running instance uses at a moment.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub struct Usage {
    /// Which.
    pub id: DynoId,
    /// Its memory.
    pub memory: MemoryUsage,
    /// Threads that run or are ready to: what a load average is made of. At most [`Usage::MOST_THREADS`] are looked at.
    pub runnable: u32,
}

impl Usage {
    /// How many threads of an instance are looked at.
    pub const MOST_THREADS: usize = 1024;
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct MemoryUsage {
    /// What the kernel cannot take back without swap: the processes' own memory, and files on tmpfs, such as
    /// `/dev/shm`.
    pub rss_bytes: u64,
    /// What it has in swap.
    pub swap_bytes: u64,
    /// Pages of files, which the kernel takes back when memory is short.
    pub cache_bytes: u64,
    /// Pages brought in and given back since the start, where the kernel counts them: on cgroup v1.
    pub pages: Option<Pages>,
}

/// Pages since the start of an instance.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub struct Pages {
    /// Charged to the instance.
    pub brought_in: u64,
    /// Given back.
    pub given_back: u64,
}

impl MemoryUsage {
    /// What counts towards a dyno's quota: memory and swap, never pages of files (Heroku Dev Center, "R14 - Memory
    /// Quota Exceeded").
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.rss_bytes.saturating_add(self.swap_bytes)
    }
}
