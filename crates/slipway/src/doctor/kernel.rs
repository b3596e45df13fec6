//! The kernel: its version, and what of it dynos are made of.

use std::path::Path;

use super::finding::{Finding, ok, problem, warning};
use super::{quiet, read};

/// The oldest kernel with idmapped squashfs layers.
const OLDEST: (u32, u32) = (6, 2);
/// What limits dynos.
const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

/// Each dyno has one of its own.
pub(super) const FEWEST_NAMESPACES: u64 = 4096;

pub(super) fn all() -> Vec<Finding> {
    let v1 = |name: &str| Path::new("/sys/fs/cgroup").join(name).is_dir();
    vec![
        version(&read("/proc/sys/kernel/osrelease")),
        cgroups(&read("/sys/fs/cgroup/cgroup.controllers"), &read("/sys/fs/cgroup/cgroup.subtree_control"), v1),
        filesystems(&read("/proc/filesystems"), |name| quiet("modprobe", &[name])),
        namespaces(|name| Path::new("/proc/self/ns").join(name).exists(), &read("/proc/sys/user/max_user_namespaces")),
        seccomp(&read("/proc/sys/kernel/seccomp/actions_avail")),
        landlock(&read("/sys/kernel/security/lsm"), Path::new("/sys/kernel/security/lsm").exists()),
        loops(Path::new("/dev/loop-control").exists()),
    ]
}

fn version(release: &str) -> Finding {
    let release = release.trim();
    let mut numbers = release.split(['.', '-', '+']).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST => ok("kernel", release),
        _ => problem(
            "kernel",
            format!(
                "{release} is older than {}.{}, and dynos share read-only images under users of their own",
                OLDEST.0, OLDEST.1
            ),
            "run Debian 13, Ubuntu 24.04 or newer, or their newer kernel (Debian 12: linux-image-amd64 of bookworm-backports)",
        ),
    }
}

fn cgroups(controllers: &str, delegated: &str, v1: impl Fn(&str) -> bool) -> Finding {
    let missing = |list: &str| -> Vec<&str> {
        CONTROLLERS.into_iter().filter(|name| !list.split_whitespace().any(|word| word == *name)).collect()
    };
    if missing(controllers).is_empty() {
        let rest = missing(delegated);
        let more = if rest.is_empty() { String::new() } else { format!("; slipway will delegate {}", rest.join(", ")) };
        return ok("cgroups", format!("version 2 with memory, cpu and pids{more}"));
    }
    if CONTROLLERS.iter().all(|name| v1(name)) {
        return ok("cgroups", "version 1 with memory, cpu and pids");
    }
    let there = if controllers.is_empty() { "none of version 2" } else { controllers.trim() };
    let advice = "boot without cgroup_disable=, and with /sys/fs/cgroup mounted; in a container, delegate them to it";
    problem("cgroups", format!("the controllers memory, cpu and pids are not all there ({there})"), advice)
}

fn filesystems(known: &str, loads: impl Fn(&str) -> bool) -> Finding {
    let missing: Vec<&str> = missing_filesystems(known).into_iter().filter(|name| !loads(name)).collect();
    if missing.is_empty() {
        return ok("filesystems", "overlay, squashfs and ext4");
    }
    let missing = missing.join(", ");
    problem(
        "filesystems",
        format!("the kernel lacks {missing}"),
        "load the modules (modprobe), or choose another kernel",
    )
}

/// Those that dynos need and the kernel does not have now.
pub(super) fn missing_filesystems(known: &str) -> Vec<&'static str> {
    let there = |name: &str| known.lines().any(|line| line.split_whitespace().last() == Some(name));
    ["overlay", "squashfs", "ext4"].into_iter().filter(|name| !there(name)).collect()
}

fn namespaces(there: impl Fn(&str) -> bool, most: &str) -> Finding {
    let missing: Vec<&str> =
        ["user", "mnt", "pid", "net", "uts", "ipc", "cgroup"].into_iter().filter(|name| !there(name)).collect();
    if !missing.is_empty() {
        return problem("namespaces", format!("the kernel lacks {}", missing.join(", ")), "choose another kernel");
    }
    match most.trim().parse::<u64>() {
        Ok(most) if most < FEWEST_NAMESPACES => problem(
            "namespaces",
            format!("only {most} user namespaces are allowed, and each dyno has one"),
            "sysctl -w user.max_user_namespaces=15000, and the same in /etc/sysctl.d",
        ),
        _ => ok("namespaces", "all kinds, enough for dynos"),
    }
}

fn seccomp(actions: &str) -> Finding {
    if actions.split_whitespace().any(|action| action == "errno") {
        return ok("seccomp", "filters of kernel calls");
    }
    problem("seccomp", "the kernel filters no calls", "choose a kernel with CONFIG_SECCOMP_FILTER")
}

fn landlock(active: &str, known: bool) -> Finding {
    if !known || active.trim().split(',').any(|name| name == "landlock") {
        return ok(
            "landlock",
            if known { "helpers that read hostile bytes are locked in" } else { "cannot be seen here" },
        );
    }
    warning(
        "landlock",
        "it is not active, so helpers that read hostile bytes are held by their users alone",
        format!("boot with lsm=landlock,{}", active.trim()),
    )
}

fn loops(there: bool) -> Finding {
    if there {
        return ok("loop", "loop devices");
    }
    problem("loop", "no /dev/loop-control", "modprobe loop, or allow loop devices in this container")
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn old_kernels_are_a_problem() {
        for old in ["6.1.0-28-amd64\n", "5.15.0-130-generic", "nonsense"] {
            assert_eq!(version(old).level, Level::Problem, "{old}");
        }
        for release in ["6.2.0", "6.8.0-51-generic", "6.12.57+deb13-amd64", "7.0-rc1"] {
            assert_eq!(version(release).level, Level::Ok, "{release}");
        }
    }

    #[test]
    fn either_version_of_control_groups_will_do() {
        let no = |_: &str| false;
        let debian = cgroups("cpuset cpu io memory hugetlb pids rdma misc\n", "cpuset cpu io memory pids\n", no);
        assert_eq!(debian.told(), "Ok version 2 with memory, cpu and pids ");
        assert!(cgroups("cpu memory pids", "cpu", no).told().contains("will delegate memory, pids"));
        assert_eq!(cgroups("", "", |_| true).level, Level::Ok);
        let disabled = cgroups("cpuset cpu io pids", "", no);
        assert!(disabled.level == Level::Problem && disabled.told().contains("cgroup_disable"), "{disabled:?}");
    }

    #[test]
    fn what_the_kernel_lacks_is_named() {
        let known = "nodev\tsysfs\nnodev\toverlay\n\text4\n";
        assert!(filesystems(known, |_| false).told().contains("lacks squashfs"));
        assert_eq!(filesystems(known, |name| name == "squashfs").level, Level::Ok);
        assert!(namespaces(|name| name != "user", "100000").told().contains("lacks user"));
        assert!(namespaces(|_| true, "0\n").told().contains("max_user_namespaces"));
        assert_eq!(namespaces(|_| true, "63484").level, Level::Ok);
        assert_eq!(seccomp("kill_process kill_thread trap errno user_notif trace log allow\n").level, Level::Ok);
        assert_eq!(seccomp("").level, Level::Problem);
        assert!(landlock("lockdown,capability,yama,apparmor\n", true).told().contains("lsm=landlock,lockdown"));
        assert_eq!(landlock("lockdown,capability,landlock,yama", true).level, Level::Ok);
    }
}
