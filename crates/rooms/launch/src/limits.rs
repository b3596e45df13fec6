//! What a dyno of a size may use.

use engine::Limits;
use vocabulary::DynoSize;

/// The writable layer of a dyno. Heroku names no figure and gives every size the same large disk; the file behind it
/// is sparse, so this is a bound, not a cost.
const DISK_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// At how much of its size's memory a dyno is killed (R15), in percent; from 100. Between its size's memory and this
/// it runs on, and its log has R14. Heroku kills at five times the memory of the small sizes and twice that of the
/// large ones, most of it in swap; without swap twice is as far as a neighbour's memory may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KilledAt(pub u32);

impl Default for KilledAt {
    fn default() -> Self {
        Self(200)
    }
}

impl KilledAt {
    /// The limit in bytes.
    #[must_use]
    pub fn bytes(self, size: DynoSize) -> u64 {
        (size.memory_mib() << 20) * u64::from(self.0.max(100)) / 100
    }
}

pub(crate) fn limits(size: DynoSize, killed_at: KilledAt) -> Limits {
    Limits {
        memory_bytes: killed_at.bytes(size),
        cpu_weight: size.cpu_weight(),
        processes: size.max_processes(),
        disk_bytes: DISK_BYTES,
    }
}
