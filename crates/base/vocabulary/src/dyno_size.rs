//! Dyno sizes: Heroku's names, memory and CPU.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A dyno size (Heroku Dev Center, "Dyno Types"). Names are compared without case and printed as the CLI prints
/// them: `Standard-1X`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DynoSize {
    /// 0.5 GB, shared CPU. It does not sleep here.
    Eco,
    /// 0.5 GB, shared CPU.
    Basic,
    /// 0.5 GB, shared CPU; the default.
    Standard1X,
    /// 1 GB, twice the CPU share.
    Standard2X,
    /// 2.5 GB.
    PerformanceM,
    /// 14 GB.
    PerformanceL,
    /// 30 GB.
    PerformanceLRam,
    /// 62 GB.
    PerformanceXL,
    /// 126 GB.
    Performance2XL,
}

/// No dyno size has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such dyno size: choose {}", DynoSize::ALL.map(DynoSize::name).join(", "))]
pub struct UnknownDynoSize;

impl DynoSize {
    /// Every size, smallest first.
    pub const ALL: [Self; 9] = [
        Self::Eco,
        Self::Basic,
        Self::Standard1X,
        Self::Standard2X,
        Self::PerformanceM,
        Self::PerformanceL,
        Self::PerformanceLRam,
        Self::PerformanceXL,
        Self::Performance2XL,
    ];

    /// The name as the CLI shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Eco => "Eco",
            Self::Basic => "Basic",
            Self::Standard1X => "Standard-1X",
            Self::Standard2X => "Standard-2X",
            Self::PerformanceM => "Performance-M",
            Self::PerformanceL => "Performance-L",
            Self::PerformanceLRam => "Performance-L-RAM",
            Self::PerformanceXL => "Performance-XL",
            Self::Performance2XL => "Performance-2XL",
        }
    }

    /// The memory quota in MiB.
    #[must_use]
    pub fn memory_mib(self) -> u64 {
        match self {
            Self::Eco | Self::Basic | Self::Standard1X => 512,
            Self::Standard2X => 1024,
            Self::PerformanceM => 2560,
            Self::PerformanceL => 14 * 1024,
            Self::PerformanceLRam => 30 * 1024,
            Self::PerformanceXL => 62 * 1024,
            Self::Performance2XL => 126 * 1024,
        }
    }

    /// The CPU share relative to one Standard-1X: a weight under contention, not a cap.
    #[must_use]
    pub fn cpu_weight(self) -> u32 {
        match self {
            Self::Eco | Self::Basic | Self::Standard1X => 1,
            Self::Standard2X => 2,
            Self::PerformanceM => 12,
            Self::PerformanceL | Self::PerformanceXL => 50,
            Self::PerformanceLRam => 24,
            Self::Performance2XL => 100,
        }
    }

    /// How many processes and threads may exist (Heroku Dev Center, "Dyno Types": 256 for small, 512 for 2X).
    #[must_use]
    pub fn max_processes(self) -> u32 {
        match self {
            Self::Eco | Self::Basic | Self::Standard1X => 256,
            Self::Standard2X => 512,
            Self::PerformanceM => 16_384,
            _ => 32_768,
        }
    }

    /// Whether the size has its CPUs to itself at Heroku.
    #[must_use]
    pub fn is_dedicated(self) -> bool {
        !matches!(self, Self::Eco | Self::Basic | Self::Standard1X | Self::Standard2X)
    }
}

impl FromStr for DynoSize {
    type Err = UnknownDynoSize;

    fn from_str(text: &str) -> Result<Self, UnknownDynoSize> {
        Self::ALL.into_iter().find(|size| size.name().eq_ignore_ascii_case(text)).ok_or(UnknownDynoSize)
    }
}

impl TryFrom<String> for DynoSize {
    type Error = UnknownDynoSize;

    fn try_from(text: String) -> Result<Self, UnknownDynoSize> {
        text.parse()
    }
}

impl From<DynoSize> for String {
    fn from(size: DynoSize) -> String {
        size.name().to_owned()
    }
}

impl fmt::Display for DynoSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
