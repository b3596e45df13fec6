//! The root of an instance: its layers, its writable layer, and what every program expects to find.
//!
//! Runs in the instance's own mount namespace with the host's rights, and touches only what it made itself there.
//!
//! ```text
//! /            overlay: layers with mapped owners, the writable layer on top; read-only, nosuid, nodev
//! /app …       the same overlay, writable
//! /.slipway    our programs, read-only
//! /dev         null zero full random urandom tty; pts, shm; read-only itself
//! /proc        of the instance's processes; what tells of the host is hidden or read-only
//! /run         tmpfs
//! ```

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use inside_contract::{APP_UID, PROGRAMS};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::mount::{MountAttrFlags, MountFlags, MountPropagationFlags, UnmountFlags};
use shim::{Job, STAGE};

use crate::tree::{self, Tree};
use crate::{Doing, Error};

/// Files of /proc that tell of the host.
const HIDDEN: [&str; 5] = ["kcore", "keys", "latency_stats", "sched_debug", "timer_list"];
/// What of /proc steers the host and is never written.
const READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];
/// Devices that hold nothing: name, major, minor (Documentation/admin-guide/devices.txt).
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
/// The group that owns terminals in Debian and its kin.
pub(crate) const TTY_GROUP: u32 = 5;

/// Puts the root together and makes it this process's root.
pub(crate) fn enter(job: &Job, user_namespace: &OwnedFd, disk: OwnedFd) -> Result<(), Error> {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).doing("part from the host's mounts")?;
    let root = assemble(job, user_namespace, disk)?;
    fill(job, &root)?;
    pivot(&root)
}

/// Mounts the overlay.
fn assemble(job: &Job, user_namespace: &OwnedFd, disk: OwnedFd) -> Result<Tree, Error> {
    let stage = job.run_folder.join(STAGE);
    let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let scratch = tree::file_system("tmpfs", &[("size", "64k"), ("mode", "0700")], quiet)?;
    let place = rustix::fs::open(&stage, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .doing("open the stage")?;
    tree::attach(scratch.as_fd(), place.as_fd())?;
    rustix::process::chdir(&stage).doing("enter the stage")?;
    mount_disk(job, &disk)?;
    drop(disk);
    let mut options = String::from("lowerdir=");
    for (number, layer) in job.layers.iter().enumerate() {
        mount_layer(layer, number, user_namespace)?;
        options.push_str(if number == 0 { "" } else { ":" });
        options.push_str(&number.to_string());
    }
    // volatile: the layer dies with the instance, so nothing need be synced. redirect_dir: programs rename folders
    // that come from layers; nobody but the kernel ever writes the layer's own attributes.
    options.push_str(",upperdir=disk/upper,workdir=disk/work,volatile,redirect_dir=on");
    let options = std::ffi::CString::new(options).map_err(std::io::Error::from).doing("name the layers")?;
    std::fs::create_dir("root").doing("make the root")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("overlay", "root", "overlay", flags, options.as_c_str()).doing("mount the layers")?;
    let root = rustix::fs::open("root", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    Ok(Tree::new(root.doing("open the root")?, job.first_id))
}

/// Puts the writable layer, mounted nowhere yet, in its place.
fn mount_disk(job: &Job, disk: &OwnedFd) -> Result<(), Error> {
    std::fs::create_dir("disk").doing("make the writable layer's place")?;
    let place = rustix::fs::open("disk", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    tree::attach(disk.as_fd(), place.doing("open the writable layer's place")?.as_fd())?;
    std::fs::create_dir("disk/upper").doing("make the upper folder")?;
    std::fs::create_dir("disk/work").doing("make the work folder")?;
    std::os::unix::fs::chown("disk/upper", Some(job.first_id), Some(job.first_id)).doing("give the upper folder")
}

fn mount_layer(layer: &Path, number: usize, user_namespace: &OwnedFd) -> Result<(), Error> {
    let mount = tree::copy_of(CWD, &layer.to_string_lossy())?;
    sys::mounts::map_owners(mount.as_fd(), user_namespace.as_fd()).doing("map the owners of a layer")?;
    let name = number.to_string();
    std::fs::create_dir(&name).doing("make a layer's place")?;
    let place = rustix::fs::open(&name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).doing("open a layer's place")?;
    tree::attach(mount.as_fd(), place.as_fd())
}

/// Adds what every program expects and closes the rest against writing.
fn fill(job: &Job, root: &Tree) -> Result<(), Error> {
    files(job, root)?;
    for path in &job.writable {
        writable(root, path)?;
    }
    let programs = tree::copy_of(CWD, &job.programs.to_string_lossy())?;
    sys::mounts::make_read_only(programs.as_fd()).doing("protect our programs")?;
    tree::attach(programs.as_fd(), root.folder(PROGRAMS)?.as_fd())?;
    devices(job, root)?;
    let run = tree::file_system("tmpfs", &[("size", "16m"), ("mode", "0755")], quiet())?;
    Tree::new(run.try_clone().doing("hold /run")?, job.first_id).give_folder(run.as_fd(), 0)?;
    tree::attach(run.as_fd(), root.folder("run")?.as_fd())?;
    processes(root)?;
    sys::mounts::make_read_only(root.as_fd()).doing("make the root read-only")
}

fn files(job: &Job, root: &Tree) -> Result<(), Error> {
    let name = &job.host_name;
    root.write("etc", "hostname", &format!("{name}\n"))?;
    root.write("etc", "hosts", &format!("127.0.0.1 localhost\n::1 localhost\n{} {name}\n", job.address))?;
    root.write("etc", "resolv.conf", &format!("nameserver {}\noptions timeout:2 attempts:3\n", job.resolver))?;
    rustix::system::sethostname(name.as_bytes()).doing("set the host name")
}

/// Lets the app write a folder: a second mount of the overlay over itself, which stays writable.
fn writable(root: &Tree, path: &str) -> Result<(), Error> {
    let folder = root.folder(path)?;
    if path.ends_with("tmp") {
        let open = root.open(path, OFlags::DIRECTORY)?;
        let mode = Mode::from_raw_mode(0o1777);
        // A descriptor opened as a path cannot change the mode; its name in /proc can.
        let name = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open));
        rustix::fs::chmod(name, mode).doing(format!("open {path} to all"))?;
    } else {
        root.give_folder(folder.as_fd(), APP_UID)?;
    }
    tree::attach(tree::copy_of(folder.as_fd(), "")?.as_fd(), folder.as_fd())
}

fn devices(job: &Job, root: &Tree) -> Result<(), Error> {
    let no_suid = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mount = tree::file_system("tmpfs", &[("size", "64k"), ("mode", "0755")], no_suid)?;
    let dev = Tree::new(mount.try_clone().doing("hold /dev")?, job.first_id);
    dev.give_folder(mount.as_fd(), 0)?;
    for (name, major, minor) in DEVICES {
        let device = rustix::fs::makedev(major, minor);
        let kind = FileType::CharacterDevice;
        rustix::fs::mknodat(&dev, name, kind, Mode::from_raw_mode(0o666), device).doing(format!("make /dev/{name}"))?;
        rustix::fs::chmodat(&dev, name, Mode::from_raw_mode(0o666), rustix::fs::AtFlags::empty())
            .doing(format!("open /dev/{name} to all"))?;
        dev.give(dev.as_fd(), name, 0)?;
    }
    for (name, target) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        rustix::fs::symlinkat(target, &dev, name).doing(format!("link /dev/{name}"))?;
    }
    let tty = (job.first_id + TTY_GROUP).to_string();
    let terminals = [("ptmxmode", "0666"), ("mode", "0620"), ("gid", tty.as_str())];
    let pts = tree::file_system("devpts", &terminals, no_suid)?;
    let shm = tree::file_system("tmpfs", &[("size", "64m"), ("mode", "1777")], quiet())?;
    let place = root.folder("dev")?;
    let (pts_place, shm_place) = (dev.folder("pts")?, dev.folder("shm")?);
    tree::attach(mount.as_fd(), place.as_fd())?;
    tree::attach(pts.as_fd(), pts_place.as_fd())?;
    tree::attach(shm.as_fd(), shm_place.as_fd())?;
    sys::mounts::make_read_only(mount.as_fd()).doing("protect /dev")
}

fn processes(root: &Tree) -> Result<(), Error> {
    let mount = tree::file_system("proc", &[], quiet() | MountAttrFlags::MOUNT_ATTR_NOEXEC)?;
    tree::attach(mount.as_fd(), root.folder("proc")?.as_fd())?;
    let proc = Tree::new(mount, 0);
    for name in READ_ONLY {
        let Ok(place) = proc.open(name, OFlags::empty()) else { continue };
        let copy = tree::copy_of(place.as_fd(), "")?;
        sys::mounts::make_read_only(copy.as_fd()).doing(format!("protect /proc/{name}"))?;
        tree::attach(copy.as_fd(), place.as_fd())?;
    }
    for name in HIDDEN {
        // Which of them exist depends on how the kernel was built.
        let Ok(place) = proc.open(name, OFlags::empty()) else { continue };
        let null = tree::copy_of(CWD, "/dev/null")?;
        tree::attach(null.as_fd(), place.as_fd())?;
    }
    Ok(())
}

/// Makes the root this process's root and lets go of the host's mounts.
fn pivot(root: &Tree) -> Result<(), Error> {
    rustix::process::fchdir(root).doing("enter the root")?;
    rustix::process::pivot_root(".", ".").doing("change the root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).doing("let go of the host's mounts")?;
    rustix::process::chdir("/").doing("enter the root")
}

fn quiet() -> MountAttrFlags {
    MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV
}
