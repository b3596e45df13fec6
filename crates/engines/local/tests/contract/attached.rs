//! Attached instances, and programs inside running ones: what is promised of their streams and of their confinement.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use engine::{Event, InstanceSpec, Refusal, Stdio, Terminal};
use sha2::{Digest, Sha256};
use vocabulary::DynoId;

use crate::fixture::{Fixture, PATIENCE, shell, spec, until};

const TERMINAL: Terminal = Terminal { columns: 101, rows: 37 };

fn attached(terminal: Option<Terminal>) -> InstanceSpec {
    InstanceSpec { stdio: Stdio::Attached { terminal }, ..spec() }
}

fn stream(fd: OwnedFd) -> UnixStream {
    let stream = UnixStream::from(fd);
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

impl Fixture {
    async fn start_attached(&self, terminal: Option<Terminal>, command: &str) -> (DynoId, UnixStream) {
        let id = self.start_as(attached(terminal), command).await;
        (id, stream(self.engine.attach(id).await.unwrap()))
    }

    async fn exec(&self, id: DynoId, terminal: Option<Terminal>, command: &str) -> UnixStream {
        stream(self.engine.exec(id, terminal, &shell(command)).await.unwrap())
    }
}

/// Everything until the end.
async fn all(mut stream: UnixStream) -> String {
    let read = move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).map(|_| text)
    };
    tokio::task::spawn_blocking(read).await.unwrap().unwrap()
}

/// Reads until a text came by.
async fn hear(stream: &UnixStream, wanted: &str) -> String {
    let (mut stream, wanted) = (stream.try_clone().unwrap(), wanted.to_owned());
    let read = move || {
        let (mut heard, mut byte) = (String::new(), [0]);
        while !heard.ends_with(&wanted) {
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "the end came before {wanted:?}: {heard:?}");
            heard.push(char::from(byte[0]));
        }
        heard
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pipes_carry_every_byte_and_the_end_of_the_input() {
    let mut fixture = Fixture::new().await;
    let (id, streams) = fixture.start_attached(None, "cat; echo err >&2; echo out; echo err >&2; exit 3").await;
    let sent: Vec<u8> = (0..10_000_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    let expected = [sent.clone(), b"err\nout\nerr\n".to_vec()].concat();
    let mut writer = streams.try_clone().unwrap();
    let writing = tokio::task::spawn_blocking(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut reader = streams;
    let received = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes)
    });
    let received = received.await.unwrap().unwrap();
    writing.await.unwrap();
    assert_eq!(received.len(), expected.len());
    assert_eq!(Sha256::digest(received), Sha256::digest(expected));
    assert_eq!(fixture.exit(id).await.status, 3);
    assert_eq!(fixture.output(id).await, []);
    fixture.engine.remove(id).await.unwrap();
    until("no trace", || fixture.traces().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_one() {
    let fixture = Fixture::new().await;
    let look = "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo line; read word; echo got $word; stty size; tty; \
                [ -w /dev/pts/0 ] && echo through dev > /dev/tty";
    let (_, mut streams) = fixture.start_attached(Some(TERMINAL), look).await;
    hear(&streams, "line\r\n").await;
    streams.write_all(b"word\r").unwrap();
    let rest = all(streams).await;
    assert_eq!(rest, "word\r\ngot word\r\n37 101\r\n/dev/pts/0\r\nthrough dev\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_interrupts_and_suspends_nothing_else() {
    let mut fixture = Fixture::new().await;
    let (id, mut streams) = fixture.start_attached(Some(TERMINAL), "echo up; sleep 600").await;
    hear(&streams, "up\r\n").await;
    streams.write_all(b"\x03").unwrap();
    assert_eq!(all(streams).await, "^C");
    assert_eq!(fixture.exit(id).await.status, 130);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_waits_for_the_one_who_attaches_even_after_the_end() {
    let mut fixture = Fixture::new().await;
    for terminal in [None, Some(TERMINAL)] {
        let id = fixture.start_as(attached(terminal), "echo early; exit 4").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let text = all(stream(fixture.engine.attach(id).await.unwrap())).await;
        assert_eq!(text.trim_end(), "early");
        assert_eq!(fixture.exit(id).await.status, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_attaches_and_no_second() {
    let fixture = Fixture::new().await;
    let (id, mut streams) = fixture.start_attached(None, "cat").await;
    let second = stream(fixture.engine.attach(id).await.unwrap());
    assert_eq!(all(second).await, "");
    streams.write_all(b"mine").unwrap();
    streams.shutdown(Shutdown::Write).unwrap();
    assert_eq!(all(streams).await, "mine");
    let logged = fixture.start("sleep 600").await;
    let refused = fixture.engine.attach(logged).await;
    assert!(matches!(refused, Err(engine::Error::Refused(Refusal::Invalid(_)))), "{refused:?}");
    let unknown = fixture.engine.attach(DynoId::new()).await;
    assert!(matches!(unknown, Err(engine::Error::Refused(Refusal::NotFound(_)))), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_hangs_up() {
    let mut fixture = Fixture::new().await;
    for terminal in [None, Some(TERMINAL)] {
        let (id, streams) = fixture.start_attached(terminal, "echo up; sleep 600 & wait").await;
        hear(&streams, "up").await;
        drop(streams);
        fixture.event(|event| matches!(event, Event::Unattached { came: true, .. })).await;
        assert_eq!(fixture.exit(id).await.status, 129);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_waited_for_when_it_is_stopped() {
    let mut fixture = Fixture::new().await;
    for terminal in [None, Some(TERMINAL)] {
        let id = fixture.start_as(attached(terminal), "echo up; sleep 600 & wait").await;
        fixture.engine.stop(id, Duration::from_secs(5)).await.unwrap();
        assert!(fixture.exit(id).await.status > 128);
        fixture.engine.remove(id).await.unwrap();
        let id = fixture.start_as(attached(terminal), "sleep 600").await;
        fixture.engine.remove(id).await.unwrap();
    }
    until("no trace", || fixture.traces().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_slows_the_program_and_loses_nothing() {
    let mut fixture = Fixture::new().await;
    let (id, streams) = fixture.start_attached(None, "head -c 5000000 /dev/zero; exit 6").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(
        fixture
            .engine
            .list()
            .await
            .unwrap()
            .iter()
            .any(|status| { status.spec.id == id && matches!(status.state, engine::InstanceState::Running { .. }) })
    );
    assert_eq!(all(streams).await.len(), 5_000_000);
    assert_eq!(fixture.exit(id).await.status, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_outlives_the_engine() {
    let mut fixture = Fixture::new().await;
    let (id, mut streams) = fixture.start_attached(None, "cat; exit 5").await;
    let late = fixture.start_as(attached(None), "echo late").await;
    fixture.stop_engine();
    streams.write_all(b"while nobody watches\n").unwrap();
    hear(&streams, "while nobody watches\n").await;
    fixture.start_engine();
    while fixture.engine.list().await.is_err() {}
    assert_eq!(all(stream(fixture.engine.attach(late).await.unwrap())).await, "late\n");
    streams.shutdown(Shutdown::Write).unwrap();
    assert_eq!(all(streams).await, "");
    assert_eq!(fixture.exit(id).await.status, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_inside_is_confined_as_the_instance_is() {
    let mut fixture = Fixture::new().await;
    let id = fixture.start("echo mine > /tmp/file; echo up; sleep 600").await;
    fixture.first_line(id).await;
    let look = "while read key value; do case $key in CapBnd:|CapEff:|Seccomp:|NoNewPrivs:) echo $key $value;; esac; \
                done < /proc/self/status; \
                echo id $(id -u) $(id -g) $(id -G); for kind in mnt pid net ipc uts user cgroup; do \
                perl -e 'print readlink($ARGV[0]) eq readlink($ARGV[1]) ? \"\" : \"another $ARGV[0]\\n\"' \
                /proc/self/ns/$kind /proc/1/ns/$kind; done; cat /tmp/file; echo x 2>&1 > /etc/x; \
                for fd in /proc/self/fd/*; do echo -n \"${fd##*/} \"; done; echo; echo $MARK";
    let text = all(fixture.exec(id, None, look).await).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..6],
        [
            "CapEff: 0000000000000000",
            "CapBnd: 0000000000000000",
            "NoNewPrivs: 1",
            "Seccomp: 2",
            "id 1000 1000 1000",
            "mine"
        ],
        "{text}"
    );
    assert!(lines[6].contains("Read-only"), "{text}");
    assert_eq!(lines[7..], ["0 1 2 3 ", "a config var"], "{text}");
    assert_eq!(fixture.host_uids().len(), 1, "its processes are all of one user and in one group");
    fixture.engine.stop(id, Duration::from_secs(1)).await.unwrap();
    fixture.exit(id).await;
    fixture.engine.remove(id).await.unwrap();
    until("no trace", || fixture.traces().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_inside_counts_towards_the_limits_and_ends_with_the_instance() {
    let mut fixture = Fixture::new().await;
    let id = fixture.start("echo up; sleep 600").await;
    fixture.first_line(id).await;
    let many = "for i in 1 2 3 4 5 6 7 8; do for j in 1 2 3 4 5 6 7 8 9; do sleep 600 & done; done; echo all";
    let text = all(fixture.exec(id, None, &format!("({many}) 2>&1; kill -9 -1")).await).await;
    assert!(text.contains("Resource temporarily unavailable"), "{text}");
    let id = fixture.start("echo up; sleep 600").await;
    fixture.first_line(id).await;
    let inside = fixture.exec(id, Some(TERMINAL), "echo there; sleep 600").await;
    hear(&inside, "there\r\n").await;
    fixture.engine.stop(id, Duration::from_secs(1)).await.unwrap();
    fixture.exit(id).await;
    assert_eq!(all(inside).await, "");
    let refused = fixture.engine.exec(id, None, &shell("true")).await;
    assert!(matches!(refused, Err(engine::Error::Refused(Refusal::NotFound(_)))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_inside_ends_when_its_client_leaves() {
    let fixture = Fixture::new().await;
    let id = fixture.start("echo up; sleep 600").await;
    fixture.first_line(id).await;
    for terminal in [None, Some(TERMINAL)] {
        let inside = fixture.exec(id, terminal, "echo there; exec sleep 601").await;
        hear(&inside, "there").await;
        drop(inside);
        let mut gone = false;
        for _ in 0..400 {
            let count = "n=0; for p in /proc/[0-9]*/cmdline; do case $(tr '\\0' ' ' < $p) in 'sleep 601 ') n=1;; esac; \
                         done; echo $n";
            if all(fixture.exec(id, None, count).await).await == "0\n" {
                gone = true;
                break;
            }
        }
        assert!(gone);
    }
}
