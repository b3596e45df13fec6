//! What the engine keeps of an instance on disk: enough to find it again, and nothing of its environment.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::Path;

use engine::InstanceSpec;
use serde::{Deserialize, Serialize};

/// In an instance's data folder.
pub(crate) const FILE: &str = "instance.json";
/// The version of the record.
const VERSION: u32 = 1;

/// One instance.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Record {
    version: u32,
    /// What was asked for.
    pub(crate) spec: InstanceSpec,
    /// Its address.
    pub(crate) address: Ipv4Addr,
    /// Which range of ids it has: the number of the range, from 0.
    pub(crate) range: u32,
}

impl Record {
    pub(crate) fn new(spec: InstanceSpec, address: Ipv4Addr, range: u32) -> Self {
        Self { version: VERSION, spec, address, range }
    }

    /// Writes it to a folder, whole or not at all. Not synced: after a power cut there is no instance to find.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join("instance.new");
        File::create(&new)?.write_all(&serde_json::to_vec(self)?)?;
        fs::rename(new, folder.join(FILE))
    }

    /// Reads it from a folder.
    pub(crate) fn read(folder: &Path) -> io::Result<Self> {
        let record: Self = serde_json::from_slice(&fs::read(folder.join(FILE))?)?;
        if record.version == VERSION { Ok(record) } else { Err(io::Error::other("a record of another version")) }
    }
}
