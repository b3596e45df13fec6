//! Loop devices: a file as a block device.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};

use crate::check;

const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;
/// Between asking for a free device and taking it another process may take it.
const ATTEMPTS: usize = 64;

/// `struct loop_info64` of linux/loop.h.
#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config` of linux/loop.h.
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// How a file is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing may be written.
    ReadOnly,
    /// Reads and writes, past the page cache of the file where its file system can.
    ReadWrite,
}

/// A loop device that frees itself once it is neither open nor mounted.
#[derive(Debug)]
pub struct Device {
    /// Keeps the device attached; drop it after mounting.
    pub fd: OwnedFd,
    /// Its node, such as `/dev/loop7`.
    pub path: PathBuf,
}

/// Attaches a file to a free loop device.
pub fn attach(file: BorrowedFd<'_>, access: Access) -> io::Result<Device> {
    let control = rustix::fs::open("/dev/loop-control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    for _ in 0..ATTEMPTS {
        // SAFETY: LOOP_CTL_GET_FREE takes no argument and returns a number.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
        let number = check(number.into())?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let fd = rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        match configure(&fd, file, access) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(Device { fd, path }),
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "no loop device stayed free long enough to be taken"))
}

fn configure(device: &OwnedFd, file: BorrowedFd<'_>, access: Access) -> io::Result<()> {
    let flags = match access {
        Access::ReadOnly => LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR,
        Access::ReadWrite => LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
    };
    let info = Info {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset: 0,
        size_limit: 0,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags,
        file_name: [0; 64],
        crypt_name: [0; 64],
        encrypt_key: [0; 32],
        init: [0; 2],
    };
    let config = Config { fd: file.as_raw_fd().cast_unsigned(), block_size: 0, info, reserved: [0; 8] };
    // SAFETY: the kernel reads one `struct loop_config`, whose layout `Config` has, during the call.
    let configured = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) };
    check(configured.into()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_the_kernels() {
        assert_eq!(size_of::<Info>(), 232);
        assert_eq!(size_of::<Config>(), 304);
    }
}
