//! What an idle connection costs. Alone in its process, since the process is what is measured.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers fail as the test does")]

#[path = "router/harness.rs"]
#[expect(dead_code, reason = "shared with the other tests, which use the rest")]
mod harness;

use routes_table::Web;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{House, head};

#[tokio::test]
async fn idle_connections_hold_little_memory() {
    const CONNECTIONS: usize = 400;
    let house = House::serving(Web::None).await;
    let request = b"GET / HTTP/1.1\r\nHost: sushi.localhost\r\n\r\n";
    let mut idle = Vec::new();
    let mut before = 0;
    for number in 0..CONNECTIONS + 50 {
        if number == 50 {
            before = memory();
        }
        let mut client = TcpStream::connect(house.address).await.unwrap();
        client.write_all(request).await.unwrap();
        assert!(head(&mut client).await.starts_with("HTTP/1.1 503 "));
        idle.push(client);
    }
    // Both ends are in this process, and the code is not optimised.
    let each = memory().saturating_sub(before) / CONNECTIONS;
    assert!(each < 6 * 1024, "{each} bytes for each idle connection");
}

/// Memory of this process in bytes.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}
