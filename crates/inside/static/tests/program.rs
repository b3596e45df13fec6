//! The program itself: from PORT to SIGTERM.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_static-server");

fn connect(port: u16, child: &mut Child) -> TcpStream {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            return stream;
        }
        assert!(child.try_wait().unwrap().is_none(), "the server ended");
        assert!(Instant::now() < deadline, "the server does not listen");
        std::thread::yield_now();
    }
}

#[test]
fn it_serves_and_ends_in_peace() {
    let app = tempfile::tempdir().unwrap();
    fs::write(app.path().join("index.html"), "home").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut child =
        Command::new(PROGRAM).current_dir(app.path()).env_clear().env("PORT", port.to_string()).spawn().unwrap();
    let mut stream = connect(port, &mut child);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nhome"), "{answer}");
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_mistake_is_told_and_ends_it() {
    let app = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM).current_dir(app.path()).env_clear().output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "static: PORT must be set to the port to listen on\n");
    fs::write(app.path().join("static.json"), "{\"rot\": 1}").unwrap();
    let output = Command::new(PROGRAM).current_dir(app.path()).env_clear().env("PORT", "1").output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("unknown field `rot`"));
}
