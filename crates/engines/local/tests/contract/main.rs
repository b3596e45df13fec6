//! What every engine promises, tried on this machine: real namespaces, cgroups, mounts and links. Needs root.

#![allow(missing_docs, reason = "tests")]

mod fixture;

use fixture::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn a_program_runs_says_something_and_ends() {
    let mut fixture = Fixture::new().await;
    let (exit, lines) = fixture.run("echo hello; echo $MARK; pwd; exit 3").await;
    assert_eq!(lines, ["hello", "a config var", "/app"]);
    assert_eq!((exit.status, exit.out_of_memory), (3, false));
}
