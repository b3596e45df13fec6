//! Bodies too large or too secret for a frame: sealed anonymous memory.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags};

/// Bytes in anonymous memory that nobody can change any more; read from the start by whoever gets the descriptor.
pub fn seal(bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("slipway", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    file.rewind()?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(file.into())
}

/// The bytes of a sealed descriptor. Refuses one that is not sealed against writing (its owner could change it while
/// it is read) or holds more than `limit` bytes.
pub fn unseal(fd: OwnedFd, limit: u64) -> io::Result<Vec<u8>> {
    let seals = rustix::fs::fcntl_get_seals(&fd)?;
    if !seals.contains(SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the memory that came with a message is not sealed"));
    }
    let mut file = File::from(fd);
    if file.metadata()?.len() > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the memory that came with a message is too large"));
    }
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_memory_cannot_change() {
        let fd = seal(b"secret").unwrap();
        let mut file = File::from(fd.try_clone().unwrap());
        assert!(file.write_all(b"x").is_err());
        assert_eq!(unseal(fd, 6).unwrap(), b"secret");
        assert!(unseal(seal(b"secret").unwrap(), 5).is_err());
    }

    #[test]
    fn memory_that_can_change_is_refused() {
        let fd = rustix::fs::memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap();
        assert!(unseal(fd, 100).is_err());
    }
}
