//! What an instance may use, and that only it pays for using more.

use crate::fixture::{Fixture, spec};

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
    let id =
        fixture.start_as(small, "dd if=/dev/zero of=/app/file bs=1M count=100 2> /tmp/error; cat /tmp/error").await;
    fixture.exit(id).await;
    let lines = fixture.output(id).await;
    assert!(lines.iter().any(|(_, text)| text.contains("No space left on device")), "{lines:?}");
}
