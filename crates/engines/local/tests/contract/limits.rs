//! What an instance may use, and that only it pays for using more.

use crate::fixture::{Fixture, pipe, shell, spec};

#[tokio::test(flavor = "multi_thread")]
async fn memory_beyond_the_limit_ends_the_program_and_is_told() {
    let mut fixture = Fixture::new().await;
    let mut small = spec();
    small.limits.memory_bytes = 64 << 20;
    let id = fixture.start_as(small, r#"exec perl -e '$x = "x" x (256 << 20); print length $x'"#).await;
    let exit = fixture.exit(id).await;
    assert_eq!((exit.status, exit.out_of_memory), (137, true));
    // The same program in a larger dyno, and a plain kill in the same one, are none of it.
    let mut large = spec();
    large.limits.memory_bytes = 900 << 20;
    let id = fixture.start_as(large, r#"exec perl -e '$x = "x" x (256 << 20); print length $x'"#).await;
    assert_eq!(fixture.exit(id).await.status, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dyno_of_several_processes_ends_as_a_whole_beyond_its_memory() {
    let mut fixture = Fixture::new().await;
    let mut small = spec();
    small.limits.memory_bytes = 64 << 20;
    // The shell would go on without the child that took too much.
    let id = fixture.start_as(small, r#"perl -e '$x = "x" x (256 << 20)'; sleep 600"#).await;
    let exit = fixture.exit(id).await;
    assert_eq!((exit.status, exit.out_of_memory), (137, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_processor_is_shared_by_weight() {
    // Both on the same processor (sched_setaffinity, 203 on x86_64), in the same three seconds. What counts is the time
    // the kernel gave, not what was done in it: in a virtual machine the processor itself may stand still.
    const SPIN: &str = r#"exec perl -e '$| = 1; my $m = pack("Q", 1); syscall(203, 0, 8, $m) == 0 or die "$!"; print "ready\n"; <STDIN>; my ($b, $u) = (time, (times)[0]); 1 while time < $b + 3; print((times)[0] - $u, "\n")'"#;
    let fixture = Fixture::new().await;
    let mut dynos = vec![];
    for weight in [1, 4] {
        let (mut spec, (read, write)) = (spec(), pipe());
        let id = spec.id;
        (spec.limits.cpu_weight, spec.fds) = (weight, vec![0]);
        fixture.engine.start(spec, &shell(SPIN), vec![read]).await.unwrap();
        assert_eq!(fixture.first_line(id).await, "ready");
        dynos.push((id, write));
    }
    for (_, start) in &dynos {
        rustix::io::write(start, b"go\n").unwrap();
    }
    let mut seconds = vec![];
    for (id, _) in &dynos {
        seconds.push(fixture.output(*id).await[1].1.parse::<f64>().unwrap());
    }
    let ratio = seconds[1] / seconds[0];
    assert!((2.5..6.0).contains(&ratio), "{ratio}: {seconds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_beyond_the_limit_are_refused() {
    let mut fixture = Fixture::new().await;
    let mut few = spec();
    few.limits.processes = 20;
    let count = r#"exec perl -e 'my $n = 0; while ($n < 200) { my $p = fork; last if !defined $p; if (!$p) { sleep 60; exit } $n++ } print "$n\n"'"#;
    let id = fixture.start_as(few, count).await;
    fixture.exit(id).await;
    let count: u32 = fixture.output(id).await[0].1.parse().unwrap();
    assert!((15..=20).contains(&count), "{count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full_at_its_size() {
    let mut fixture = Fixture::new().await;
    let mut small = spec();
    small.limits.disk_bytes = 32 << 20;
    let id = fixture.start_as(small, "dd if=/dev/zero of=/app/file bs=1M count=100").await;
    fixture.exit(id).await;
    let lines = fixture.output(id).await;
    assert!(lines.iter().any(|(_, text)| text.contains("No space left on device")), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_uses_is_told() {
    // 100 MiB of its own, 20 on tmpfs, and 50 of a file; then it spins.
    const USES: &str = r#"exec perl -e '$| = 1; open Z, "</dev/zero"; sysread Z, $x, 100 << 20; sysread Z, $y, 1 << 20;
        open F, ">/dev/shm/f"; syswrite F, $y for 1 .. 20; open G, ">/tmp/g"; syswrite G, $y for 1 .. 50;
        print "ready\n"; 1 while 1'"#;
    let fixture = Fixture::new().await;
    let mut large = spec();
    large.limits.memory_bytes = 900 << 20;
    let id = fixture.start_as(large, USES).await;
    assert_eq!(fixture.first_line(id).await, "ready");
    let idle = fixture.start("echo asleep; exec sleep 600").await;
    assert_eq!(fixture.first_line(idle).await, "asleep");
    while fixture.engine.usage().await.unwrap().iter().any(|usage| usage.id == idle && usage.runnable > 0) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let usage = fixture.engine.usage().await.unwrap();
    let of = |id| usage.iter().find(|usage| usage.id == id).unwrap();
    let (memory, mib) = (of(id).memory, 1 << 20);
    assert!((120 * mib..150 * mib).contains(&memory.total_bytes()), "{memory:?}");
    assert!(memory.cache_bytes >= 40 * mib, "{memory:?}");
    assert_eq!(of(id).runnable, 1);
    assert!(of(idle).memory.total_bytes() < 10 * mib);
    fixture.engine.remove(id).await.unwrap();
    assert!(fixture.engine.usage().await.unwrap().iter().all(|usage| usage.id != id));
}
