//! Which kernel calls an instance may make.
//!
//! An allow-list: what is not named answers ENOSYS, as an older kernel would, so that programs take their fallback.
//! Calls that would be an attempt at more rights answer EPERM, as they would without the filter. Nothing is killed.
//! The list is that of the container engines' common default for a process without capabilities, minus namespaces,
//! keys, tracing and everything that never served an app.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use crate::check;

mod list;

/// Why the filter could not be made.
#[derive(Debug, thiserror::Error)]
#[error("could not compile the filter of kernel calls")]
pub struct Error(#[from] seccompiler::BackendError);

/// The new-namespace flags of clone and unshare, each of which is refused. CLONE_NEWTIME counts for unshare only:
/// its bit is part of clone's exit signal.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];
const CLONE_NEWTIME: u64 = 0x80;
/// Longest program the kernel takes (BPF_MAXINSNS).
const MAX_INSTRUCTIONS: usize = 4096;

/// The filter as bytes for [`apply`]: two programs, each as its length (u16) and its instructions, 8 bytes each, all
/// in the machine's own byte order.
pub fn compile() -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for program in [allowed()?, refused()?] {
        bytes.extend(u16::try_from(program.len()).unwrap_or(u16::MAX).to_ne_bytes());
        for instruction in program {
            bytes.extend(instruction.code.to_ne_bytes());
            bytes.extend([instruction.jt, instruction.jf]);
            bytes.extend(instruction.k.to_ne_bytes());
        }
    }
    Ok(bytes)
}

/// Puts the filter on this process and all it will start. It cannot be taken off. `no_new_privs` must be set.
pub fn apply(bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let size = usize::from(u16::from_ne_bytes(*length)) * 8;
        let Some((program, tail)) = tail.split_at_checked(size) else { return Err(malformed()) };
        load(program)?;
        rest = tail;
    }
    if rest.is_empty() { Ok(()) } else { Err(malformed()) }
}

fn load(program: &[u8]) -> io::Result<()> {
    let mut instructions: Vec<libc::sock_filter> = program
        .chunks_exact(8)
        .filter_map(<[u8]>::first_chunk::<8>)
        .map(|&[c0, c1, jt, jf, k0, k1, k2, k3]| libc::sock_filter {
            code: u16::from_ne_bytes([c0, c1]),
            jt,
            jf,
            k: u32::from_ne_bytes([k0, k1, k2, k3]),
        })
        .collect();
    if instructions.is_empty() || instructions.len() > MAX_INSTRUCTIONS {
        return Err(malformed());
    }
    let length = u16::try_from(instructions.len()).map_err(|_| malformed())?;
    let program = libc::sock_fprog { len: length, filter: instructions.as_mut_ptr() };
    // SAFETY: the kernel reads `len` instructions during the call and checks them itself.
    let done = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    check(done).map(drop)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the filter of kernel calls is not what was compiled")
}

/// Lets the list pass and answers ENOSYS to the rest. Loaded first, so that EPERM of the second program wins.
fn allowed() -> Result<BpfProgram, Error> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = list::ALLOWED.iter().map(|&call| (call, vec![])).collect();
    let no_namespace = |mut mask: u64, more: u64| {
        mask |= more;
        Ok::<_, Error>(vec![SeccompRule::new(vec![masked(mask, 0)?])?])
    };
    let all = NAMESPACES.iter().fold(0, |mask, &flag| mask | bits(flag));
    rules.insert(libc::SYS_clone, no_namespace(all, 0)?);
    rules.insert(libc::SYS_unshare, no_namespace(all, CLONE_NEWTIME)?);
    // AF_VSOCK speaks with the machine's own host; AF_ALG and AF_NETLINK beyond route are large and unneeded.
    rules.insert(libc::SYS_socket, sockets()?);
    rules.insert(libc::SYS_personality, personalities()?);
    filter(rules, SeccompAction::Errno(errno(libc::ENOSYS)), SeccompAction::Allow)
}

/// Answers EPERM to attempts at more rights and lets the rest pass to the list.
fn refused() -> Result<BpfProgram, Error> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = list::REFUSED.iter().map(|&call| (call, vec![])).collect();
    for call in [libc::SYS_clone, libc::SYS_unshare] {
        let one = |&flag: &i32| Ok(SeccompRule::new(vec![masked(bits(flag), bits(flag))?])?);
        rules.insert(call, NAMESPACES.iter().map(one).collect::<Result<_, Error>>()?);
    }
    filter(rules, SeccompAction::Allow, SeccompAction::Errno(errno(libc::EPERM)))
}

fn sockets() -> Result<Vec<SeccompRule>, Error> {
    let family = |value: i32| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, bits(value));
    let mut rules = Vec::new();
    for value in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
        rules.push(SeccompRule::new(vec![family(value)?])?);
    }
    // getifaddrs of every libc asks NETLINK_ROUTE.
    let route = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, bits(libc::NETLINK_ROUTE))?;
    rules.push(SeccompRule::new(vec![family(libc::AF_NETLINK)?, route])?);
    Ok(rules)
}

/// PER_LINUX, PER_LINUX32, their UNAME26 forms, and the question which it is, as container engines allow them.
fn personalities() -> Result<Vec<SeccompRule>, Error> {
    let value = |value| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
    [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff].into_iter().map(|it| Ok(SeccompRule::new(vec![value(it)?])?)).collect()
}

fn masked(mask: u64, value: u64) -> Result<SeccompCondition, Error> {
    Ok(SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(mask), value)?)
}

fn filter(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    on_match: SeccompAction,
) -> Result<BpfProgram, Error> {
    let machine: TargetArch = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, otherwise, on_match, machine)?.try_into()?)
}

fn bits(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

fn errno(value: i32) -> u32 {
    value.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_is_both_allowed_and_refused() {
        for call in list::REFUSED {
            assert!(!list::ALLOWED.contains(call), "{call}");
        }
    }

    #[test]
    fn the_filter_fits_the_kernel() {
        let bytes = compile().unwrap();
        let first = u16::from_ne_bytes([bytes[0], bytes[1]]);
        assert!(usize::from(first) < MAX_INSTRUCTIONS, "{first}");
        assert_eq!((bytes.len() - 4) % 8, 0);
    }

    #[test]
    fn bytes_that_end_early_are_refused() {
        assert!(apply(&[200, 0, 1, 2, 3]).is_err());
    }
}
