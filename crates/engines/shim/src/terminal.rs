//! A terminal of the instance: its own `/dev/pts/N`, not one of the host's.

use std::os::fd::OwnedFd;

use inside_contract::APP_UID;
use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::pty::OpenptFlags;
use rustix::termios::{InputModes, OptionalActions, Winsize};
use shim::Size;

use crate::root::TTY_GROUP;
use crate::{Doing, Error};

/// Both ends of a terminal.
pub(crate) struct Terminal {
    /// What is typed goes in here, what is shown comes out.
    pub(crate) master: OwnedFd,
    /// The program's standard streams.
    pub(crate) slave: OwnedFd,
}

/// Makes a terminal in this process's mounts, which are the instance's. `first_id` is the host's name of its root.
pub(crate) fn open(size: Size, first_id: u32) -> Result<Terminal, Error> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::open("/dev/pts/ptmx", flags, Mode::empty()).doing("make a terminal")?;
    rustix::pty::unlockpt(&master).doing("unlock the terminal")?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).doing("open the terminal")?;
    let (user, group) = (Uid::from_raw(first_id + APP_UID), Gid::from_raw(first_id + TTY_GROUP));
    rustix::fs::fchown(&slave, Some(user), Some(group)).doing("give the terminal to the app")?;
    // A backspace takes a whole character away.
    let mut modes = rustix::termios::tcgetattr(&slave).doing("read the terminal's modes")?;
    modes.input_modes |= InputModes::IUTF8;
    rustix::termios::tcsetattr(&slave, OptionalActions::Now, &modes).doing("set the terminal's modes")?;
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&master, size).doing("set the terminal's size")?;
    Ok(Terminal { master, slave })
}
