//! Loop devices: a file as a read-only disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::ioctl::{self, Ioctl, IoctlOutput, Opcode};

/// `linux/loop.h`.
const LOOP_CONFIGURE: Opcode = 0x4C0A;
const LOOP_CTL_GET_FREE: Opcode = 0x4C82;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// How often a free device that somebody else took first is looked for again.
const ATTEMPTS: u32 = 64;

/// `struct loop_config` of `linux/loop.h`, 304 bytes.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    numbers: [u64; 5],
    lo_number: u32,
    lo_encrypt: [u32; 2],
    lo_flags: u32,
    names_and_key: [u8; 160],
    lo_init: [u64; 2],
    reserved: [u64; 8],
}

/// A loop device over a file. The kernel lets go of the file when this is dropped and nothing is mounted from it.
#[derive(Debug)]
pub struct LoopDevice {
    /// Keeps the device alive until it is mounted.
    _open: File,
    /// The device's node, such as `/dev/loop0`.
    pub path: PathBuf,
}

/// A read-only device over `file`.
pub fn attach_read_only(file: BorrowedFd<'_>) -> io::Result<LoopDevice> {
    let control = OpenOptions::new().read(true).write(true).open("/dev/loop-control")?;
    for _ in 0..ATTEMPTS {
        // SAFETY: GET_FREE takes no argument and returns a number.
        let number = unsafe { ioctl::ioctl(&control, GetFree) }?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device =
            OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::CLOEXEC.bits().cast_signed()).open(&path)?;
        match configure(&device, file) {
            Ok(()) => return Ok(LoopDevice { _open: device, path }),
            // Another process took it between the two calls.
            Err(rustix::io::Errno::BUSY) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "no free loop device"))
}

fn configure(device: &File, file: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let config = LoopConfig {
        fd: file.as_raw_fd().cast_unsigned(),
        block_size: 0,
        numbers: [0; 5],
        lo_number: 0,
        lo_encrypt: [0; 2],
        lo_flags: LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR,
        names_and_key: [0; 160],
        lo_init: [0; 2],
        reserved: [0; 8],
    };
    // SAFETY: CONFIGURE reads a `loop_config`, which `LoopConfig` is laid out as.
    unsafe { ioctl::ioctl(device, ioctl::Setter::<LOOP_CONFIGURE, LoopConfig>::new(config)) }
}

/// LOOP_CTL_GET_FREE: its answer is the call's return value.
struct GetFree;

// SAFETY: the call has no argument and changes no memory of ours.
unsafe impl Ioctl for GetFree {
    type Output = i32;

    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        LOOP_CTL_GET_FREE
    }

    fn as_ptr(&mut self) -> *mut rustix::ffi::c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut rustix::ffi::c_void) -> rustix::io::Result<i32> {
        Ok(out)
    }
}
