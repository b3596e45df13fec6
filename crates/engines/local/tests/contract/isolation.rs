//! What a program inside has, sees and may do: R1, R2 and R14 of the promises.

use crate::fixture::Fixture;

/// Numbers of x86_64; the calls are made without any library in between.
const CALLS: &str = r#"
my %calls = (
  unshare_user => [272, 0x10000000], unshare_net => [272, 0x40000000], unshare_mount => [272, 0x20000],
  clone_user => [56, 0x10000011, 0, 0, 0, 0], clone3 => [435, 0, 0], setns => [308, 0, 0], mount => [165, 0, 0, 0, 0, 0],
  umount => [166, 0, 0], pivot_root => [155, 0, 0], chroot => [161, 0], fsopen => [430, 0, 0], open_tree => [428, 0, 0, 0],
  keyctl => [250, 0, 0, 0, 0, 0], add_key => [248, 0, 0, 0, 0, 0], bpf => [321, 0, 0, 0], userfaultfd => [323, 0],
  perf_event_open => [298, 0, 0, 0, 0, 0], io_uring_setup => [425, 0, 0], ptrace => [101, 0, 0, 0, 0],
  process_vm_readv => [310, 0, 0, 0, 0, 0, 0], init_module => [175, 0, 0, 0], kexec_load => [246, 0, 0, 0, 0],
  reboot => [169, 0, 0, 0, 0], swapon => [167, 0, 0], sethostname => [170, 0, 0], open_by_handle_at => [304, 0, 0, 0],
  vsock => [41, 40, 1, 0], packet => [41, 17, 3, 0], unknown => [9999],
);
for my $name (sort keys %calls) {
  my @call = @{$calls{$name}};
  $! = 0;
  my $result = syscall(shift @call, @call);
  print "$name ", ($result == -1 ? $! + 0 : "allowed"), "\n";
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_app_has_no_rights() {
    let mut fixture = Fixture::new().await;
    let (_, lines) = fixture.run("cat /proc/self/status").await;
    let value = |key: &str| {
        let line = lines.iter().find(|line| line.starts_with(&format!("{key}:"))).unwrap();
        line.split_once(':').unwrap().1.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        (value("Uid"), value("Gid"), value("Groups")),
        ("1000 1000 1000 1000".into(), "1000 1000 1000 1000".into(), String::new())
    );
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(value(set), "0000000000000000", "{set}");
    }
    assert_eq!((value("NoNewPrivs"), value("Seccomp"), value("Seccomp_filters")), ("1".into(), "2".into(), "2".into()));
    assert_eq!((value("SigBlk"), value("SigIgn")), ("0000000000000000".into(), "0000000000000000".into()));
    assert_eq!(value("Umask"), "0022");
    let (_, process_1) = fixture.run("cat /proc/1/status").await;
    for line in ["CapBnd:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(process_1.contains(&line.to_owned()), "{line}: {process_1:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_for_more_rights_are_refused() {
    const EPERM: &str = "1";
    const ENOSYS: &str = "38";
    let mut fixture = Fixture::new().await;
    let (exit, lines) = fixture.run(&format!("exec perl -e '{CALLS}'")).await;
    assert_eq!(exit.status, 0, "{lines:?}");
    assert_eq!(lines.len(), 29, "{lines:?}");
    for line in lines {
        let (name, answer) = line.split_once(' ').unwrap();
        let unknown = ["clone3", "unknown", "vsock", "packet"].contains(&name);
        assert_eq!(answer, if unknown { ENOSYS } else { EPERM }, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_is_read_only_and_the_app_is_not() {
    let mut fixture = Fixture::new().await;
    let probe = "for d in / /etc /usr/bin /dev /proc/sys/kernel /.slipway /run /sys /var; do \
                 if (echo > $d/probe) 2> /dev/null; then echo writable $d; fi; done; \
                 for d in /app /tmp /var/tmp /home /dev/shm; do \
                 if ! (echo > $d/probe) 2> /dev/null; then echo closed $d; fi; done; \
                 mkdir -p /app/one/two && mv /app/one /app/three && ls /app/three; ls /app/probe";
    assert_eq!(fixture.run(probe).await.1, ["two", "/app/probe"]);
    let writes = "for f in /.slipway/init /proc/sysrq-trigger /proc/sys/kernel/core_pattern /etc/passwd; do \
                  if (echo x >> $f) 2> /dev/null; then echo wrote $f; fi; done; echo end";
    assert_eq!(fixture.run(writes).await.1, ["end"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_sees_itself_alone() {
    let mut fixture = Fixture::new().await;
    let neighbour = fixture.start("echo up; sleep 600").await;
    fixture.first_line(neighbour).await;
    let (_, lines) = fixture.run("echo /proc/[0-9]*; echo $$; ls /proc/1/root/ > /dev/null 2>&1 || echo closed").await;
    assert_eq!(lines[0].split(' ').collect::<Vec<_>>(), ["/proc/1", "/proc/2"]);
    assert_eq!(lines[1], "2");
    let (_, lines) = fixture.run("while read -a f; do echo ${f[4]}; done < /proc/self/mountinfo").await;
    let known = ["/", "/.slipway", "/app", "/home", "/tmp", "/var/tmp", "/run"];
    for mount in &lines {
        let fine = known.contains(&mount.as_str()) || mount.starts_with("/proc") || mount.starts_with("/dev");
        assert!(fine, "{mount} of {lines:?}");
    }
    let (_, lines) =
        fixture.run("while read l; do case $l in *:/) ;; *) echo $l;; esac; done < /proc/self/cgroup; echo end").await;
    assert!(!lines.join(" ").contains("slipway"), "{lines:?}");
    let (_, lines) = fixture.run("cat /proc/keys /proc/kcore /proc/sched_debug 2> /dev/null; env").await;
    let names: Vec<&str> = lines.iter().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let shell = ["PWD", "SHLVL", "_"];
    assert!(names.iter().all(|name| ["PATH", "HOME", "MARK"].contains(name) || shell.contains(name)), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_files_belong_to_ids_of_its_own_on_the_host() {
    let mut fixture = Fixture::new().await;
    let one = fixture.start("echo up; sleep 600").await;
    let two = fixture.start("echo up; sleep 600").await;
    for id in [one, two] {
        fixture.first_line(id).await;
    }
    let uids = fixture.host_uids();
    assert_eq!(uids.len(), 2, "{uids:?}");
    assert!(uids.iter().all(|uid| uid % 65_536 == 1000 && *uid > 65_536), "{uids:?}");
    assert_eq!(
        fixture
            .run("ls -ldn /app /etc /usr/bin/perl")
            .await
            .1
            .iter()
            .map(|line| { line.split_whitespace().nth(2).unwrap().to_owned() })
            .collect::<Vec<_>>(),
        ["1000", "0", "0"]
    );
}
