//! Signals as a process that only waits for them sees them.

use std::io;

use rustix::process::Signal;

use crate::check;

/// The last signal there is (`_NSIG` of the kernel).
const LAST: libc::c_int = 64;

/// Blocks every signal, so that they wait for [`wait`]. Also keeps pid 1 from losing those without a handler.
pub fn block_all() -> io::Result<()> {
    mask(libc::SIG_BLOCK, &all()?)
}

/// Waits for the next blocked signal and takes it.
pub fn wait() -> io::Result<Signal> {
    let set = all()?;
    loop {
        // SAFETY: `set` is a valid set; a null pointer for the details is allowed.
        let number = unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) };
        match check(number.into()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            // A real-time signal has no name; nothing is waiting for one.
            Ok(_) => {
                if let Some(signal) = Signal::from_named_raw(number) {
                    return Ok(signal);
                }
            }
        }
    }
}

/// Gives every signal its default and unblocks them all, as a new program expects it.
pub(crate) fn reset() -> io::Result<()> {
    // The kernel's `struct sigaction` is at most 32 bytes; all zero it is SIG_DFL without flags. Past libc, which hides
    // the two signals it keeps for itself, although they may have been inherited as ignored.
    let default = [0_u64; 4];
    for number in 1..=LAST {
        // SAFETY: the kernel reads one `struct sigaction` and writes none; SIG_DFL runs no code of ours. SIGKILL and
        // SIGSTOP refuse, which is fine.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                default.as_ptr(),
                std::ptr::null_mut::<u64>(),
                size_of::<u64>(),
            )
        };
    }
    // SAFETY: all-zero is a valid signal set: the empty one.
    let empty: libc::sigset_t = unsafe { std::mem::zeroed() };
    mask(libc::SIG_SETMASK, &empty)
}

fn mask(how: libc::c_int, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: `set` is a valid set, and the old one is not asked for.
    let done = unsafe { libc::sigprocmask(how, set, std::ptr::null_mut()) };
    check(done.into()).map(drop)
}

fn all() -> io::Result<libc::sigset_t> {
    // SAFETY: all-zero is a valid signal set: the empty one.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is valid for writing.
    let filled = unsafe { libc::sigfillset(&raw mut set) };
    check(filled.into())?;
    Ok(set)
}

/// Sends a signal to every process that this one may signal, except itself; to process 1 of a namespace, that is
/// every process of the namespace.
pub fn send_to_all(signal: Signal) -> io::Result<()> {
    // SAFETY: kill touches no memory.
    let sent = unsafe { libc::kill(-1, signal.as_raw()) };
    check(sent.into()).map(drop)
}
