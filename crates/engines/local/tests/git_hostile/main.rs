//! What no git would send (G1, G2): broken and swollen packs, trees in disguise, lines that are none. Real git in the
//! engine's own confinement. Needs root.
//!
//! What must hold of each: git has ended within seconds, its memory stayed bounded, and no branch moved; what is broken
//! does not get as far as the hook and leaves nothing.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

mod pack;

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::GitService;
use local::git::{Repositories, RepositoriesConfig};
use pack::{Name, Pack, copies, hex, line, number};
use tempfile::TempDir;
use vocabulary::AppId;

/// The first of the users of these tests: each has one of its own, by which its children are told from others.
const GIT: u32 = 64_900;
/// How long git may take to refuse; on a quiet machine it takes a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most memory git may take for itself, in KiB; the engine bounds what it allocates.
const MEMORY_KIB: u64 = 512 << 10;

struct Host {
    repositories: Repositories,
    folder: TempDir,
    app: AppId,
    uid: u32,
}

/// What became of a request.
#[derive(Debug)]
struct Ended {
    taken: bool,
    hooked: bool,
    said: String,
    took: Duration,
    /// The most memory a git process had, in KiB.
    peak_kib: u64,
}

impl Host {
    async fn new(number: u32) -> Self {
        let uid = GIT + number;
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let hooks = folder.path().join("hooks");
        fs::create_dir(&hooks).unwrap();
        fs::write(hooks.join("pre-receive"), "#!/bin/sh\necho ran >&3\n").unwrap();
        fs::set_permissions(hooks.join("pre-receive"), fs::Permissions::from_mode(0o755)).unwrap();
        let config = RepositoriesConfig {
            folder: folder.path().join("git"),
            uid,
            gid: uid,
            hooks,
            hook_program: "/usr/bin/true".into(),
            git: "/usr/bin/git".into(),
            max_input_bytes: 64 << 20,
        };
        let repositories = Repositories::open(&config).unwrap();
        let app = AppId::new();
        repositories.create(app).await.unwrap();
        Self { repositories, folder, app, uid }
    }

    /// Sends a request to receive-pack as the door would.
    async fn receive(&self, request: Vec<u8>) -> Ended {
        let pipe = || std::io::pipe().unwrap();
        let ((stdin, mut feed), (out, stdout), (err, stderr)) = (pipe(), pipe(), pipe());
        let ((from_hook, hook_writes), (hook_reads, to_hook)) = (pipe(), pipe());
        drop(to_hook);
        let fds: Vec<OwnedFd> = vec![stdin.into(), stdout.into(), stderr.into(), hook_writes.into(), hook_reads.into()];
        let read = |mut from: std::io::PipeReader| {
            tokio::task::spawn_blocking(move || {
                let mut bytes = Vec::new();
                from.read_to_end(&mut bytes).unwrap();
                String::from_utf8_lossy(&bytes).into_owned()
            })
        };
        let (out, err, from_hook) = (read(out), read(err), read(from_hook));
        // Git may end before it has read everything.
        let writer = tokio::task::spawn_blocking(move || drop(feed.write_all(&request)));
        let (began, watch) = (Instant::now(), Watch::begin(self.uid));
        let run = self.repositories.run(self.app, GitService::Receive, None, fds);
        let status = tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap();
        let (took, peak_kib) = (began.elapsed(), watch.end());
        writer.await.unwrap();
        let said = format!("{status} {}{}", out.await.unwrap(), err.await.unwrap());
        let taken = said.contains("ok refs/");
        Ended { taken, hooked: !from_hook.await.unwrap().is_empty(), said, took, peak_kib }
    }

    /// A request that must not get as far as the hook.
    async fn refuses(&self, what: &str, request: Vec<u8>) -> Ended {
        let before = self.left("objects");
        let ended = self.declines(what, request).await;
        assert!(!ended.hooked, "{what}: {ended:?}");
        assert_eq!(self.left("objects"), before, "{what} left something");
        ended
    }

    /// A request that must not be taken; objects that came with it are tidied later.
    async fn declines(&self, what: &str, request: Vec<u8>) -> Ended {
        let ended = self.receive(request).await;
        assert!(!ended.taken, "{what}: {ended:?}");
        assert!(ended.took < PATIENCE, "{what}: {ended:?}");
        assert!(ended.peak_kib < MEMORY_KIB, "{what}: {} KiB of memory", ended.peak_kib);
        assert_eq!(self.left("refs"), Vec::<String>::new(), "{what} moved something");
        ended
    }

    /// The files of a part of the repository.
    fn left(&self, part: &str) -> Vec<String> {
        fn files(folder: &std::path::Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
                if entry.path().is_dir() {
                    files(&entry.path(), found);
                } else {
                    found.push(entry.path().display().to_string());
                }
            }
        }
        let mut found = vec![];
        let repository = self.folder.path().join(format!("git/{}.git", self.app));
        files(&repository.join(part), &mut found);
        found
    }
}

/// Looks at the memory of git's processes while they run.
struct Watch {
    done: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn begin(uid: u32) -> Self {
        let (done, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (until, most) = (Arc::clone(&done), Arc::clone(&peak));
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                for process in fs::read_dir("/proc").unwrap().flatten() {
                    let status = fs::read_to_string(process.path().join("status")).unwrap_or_default();
                    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
                    let number = |text: &str| text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
                    if field("Uid:").and_then(number) == Some(u64::from(uid)) {
                        // What it has for itself: mapped files are the kernel's to take back.
                        most.fetch_max(field("RssAnon:").and_then(number).unwrap_or(0), Ordering::Relaxed);
                    }
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { done, peak, thread }
    }

    fn end(self) -> u64 {
        self.done.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.peak.load(Ordering::Relaxed)
    }
}

/// A pack with one file, and its commit.
fn good() -> (Pack, Name) {
    let mut pack = Pack::new();
    let noise: Vec<u8> = (0..600_u32).map(|at| u8::try_from(at.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
    let file = pack.blob(&noise);
    let tree = pack.tree(&[("100644", b"file", file)]);
    let commit = pack.commit(tree);
    (pack, commit)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_is_cut_or_bent_anywhere_is_refused() {
    let host = Host::new(1).await;
    let (pack, commit) = good();
    let request = pack.push(commit);
    let pack_begins = request.len() - pack.finished().len();
    for cut in (1..request.len()).step_by(31).chain(request.len() - 21..request.len()) {
        host.refuses(&format!("cut at {cut}"), request[..cut].to_vec()).await;
    }
    for place in (pack_begins..request.len()).step_by(37) {
        let mut bent = request.clone();
        bent[place] ^= 0x55;
        host.refuses(&format!("bent at {place}"), bent).await;
    }
    let fine = host.receive(request).await;
    assert!(fine.taken && fine.hooked, "{fine:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delta_that_swells_or_turns_in_circles_is_refused_in_little_memory() {
    let host = Host::new(2).await;
    // 1 MiB, 32 MiB, 1 GiB, 32 GiB, in a pack of a few kilobytes.
    let mut swollen = Pack::new();
    let mut at = swollen.place();
    swollen.blob(&vec![0; 1 << 20]);
    let mut size = 1 << 20;
    for _ in 0..3 {
        at = swollen.offset_delta(swollen.place() - at, &copies(size, 32));
        size *= 32;
    }
    assert!(swollen.finished().len() < 100_000);
    let ended = host.refuses("a delta that swells", swollen.push([1; 20])).await;
    assert!(ended.said.contains("memory") || ended.said.contains("abnormal"), "{}", ended.said);
    let mut lies = Pack::new();
    let at = lies.place();
    lies.blob(b"base");
    lies.offset_delta(lies.place() - at, &[number(4), number(1 << 50), vec![0x90, 4]].concat());
    host.refuses("a delta that says it is a petabyte", lies.push([1; 20])).await;
    for distance in [0, 1, 11, 5_000_000_000, u64::MAX >> 1] {
        let mut lost = Pack::new();
        lost.offset_delta(distance, &copies(4, 1));
        host.refuses(&format!("a delta of what is {distance} before it"), lost.push([1; 20])).await;
    }
    let mut circle = Pack::new();
    circle.name_delta([2; 20], &copies(4, 1));
    circle.name_delta([3; 20], &copies(4, 1));
    host.refuses("deltas of what is not there", circle.push([2; 20])).await;
    // A long chain is resolved; it is only nobody's commit.
    let mut chain = Pack::new();
    let mut at = chain.place();
    chain.blob(b"base");
    for _ in 0..20_000 {
        at = chain.offset_delta(chain.place() - at, &[number(4), number(4), vec![0x90, 4]].concat());
    }
    host.refuses("a chain of 20,000", chain.push([1; 20])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_are_none_are_refused() {
    let host = Host::new(3).await;
    let (pack, commit) = good();
    let (zero, commit) = ("0".repeat(40), hex(&commit));
    let with = |lines: Vec<u8>| [lines, b"0000".to_vec(), pack.finished()].concat();
    let names = [
        "refs/heads/../../config",
        "refs/heads/main.lock",
        "refs/heads/",
        "refs/heads/a b",
        "refs/heads/a\u{1}",
        "refs/heads/.a",
        "refs/heads/a..b",
        "refs/heads/@{",
        "refs/heads/a~1",
        "HEAD",
        "config",
        "refs",
        "/etc/passwd",
        "refs/heads/a\\b",
        "refs/heads/a//b",
        "-refs/heads/x",
        "objects/info/alternates",
    ];
    for name in names {
        // Git looks at names behind the hook, which takes what is no deploy.
        host.declines(name, with(line(&format!("{zero} {commit} {name}\0 report-status\n")))).await;
    }
    for (what, lines) in [
        ("no line", vec![]),
        ("three digits", b"00a".to_vec()),
        ("no digits", b"zzzz".to_vec()),
        ("a length of one", b"0001".to_vec()),
        ("a length of three", b"0003x".to_vec()),
        ("more than there is", b"ffff0".to_vec()),
        ("a line of nothing", b"0004".to_vec()),
        ("no name", line(&format!("{zero} {commit}\n"))),
        ("no object", line("refs/heads/main\n")),
        ("a NUL", line("\0\0\0\0")),
    ] {
        host.refuses(what, with(lines)).await;
    }
    // Objects are looked for while hooks are prepared.
    for (what, lines) in [
        ("another object", line(&format!("{zero} {} refs/heads/main\0 report-status\n", "f".repeat(40)))),
        (
            "an old one that is not there",
            line(&format!("{} {commit} refs/heads/main\0 report-status\n", "a".repeat(40))),
        ),
    ] {
        host.declines(what, with(lines)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trees_in_disguise_are_refused() {
    let host = Host::new(4).await;
    let names: [&[u8]; 16] = [
        b".",
        b"..",
        b"",
        b".git",
        b".GIT",
        b".giT",
        b"git~1",
        b"GIT~1",
        b".git ",
        b".git.",
        b".git::$INDEX_ALLOCATION",
        b".g\xe2\x80\x8cit",
        b".git\xe2\x80\x8c",
        b"a/b",
        b"../x",
        b".git\\config",
    ];
    for name in names {
        for mode in ["40000", "100644"] {
            let mut pack = Pack::new();
            let file = pack.blob(b"[core]\n\tfsmonitor = evil\n");
            let inner = pack.tree(&[("100644", b"config", file)]);
            let tree = pack.tree(&[(mode, name, if mode == "40000" { inner } else { file })]);
            let commit = pack.commit(tree);
            let shown = name.escape_ascii().to_string();
            host.refuses(&format!("{mode} {shown}"), pack.push(commit)).await;
        }
    }
    let mut twice = Pack::new();
    let file = twice.blob(b"x");
    let tree = twice.tree(&[("100644", b"a", file), ("120000", b"a", file)]);
    let commit = twice.commit(tree);
    host.refuses("one name twice", twice.push(commit)).await;
    let mut linked = Pack::new();
    let target = linked.blob(b"/etc/passwd");
    for name in [b".gitmodules".as_slice()] {
        let tree = linked.tree(&[("120000", name, target)]);
        let commit = linked.commit(tree);
        host.refuses("a link for .gitmodules", linked.push(commit)).await;
    }
    for text in [
        "[submodule \"a\"]\n\tpath = a\n\turl = -u./evil\n",
        "[submodule \"a\"]\n\tpath = -a\n\turl = https://example.com/\n",
        "[submodule \"../../hooks\"]\n\tpath = a\n\turl = https://example.com/\n",
        "[submodule \"a\"]\n\tpath = a\n\turl = ../\\n/evil\n\tupdate = !touch /tmp/x\n",
    ] {
        let mut pack = Pack::new();
        let file = pack.blob(text.as_bytes());
        let tree = pack.tree(&[("100644", b".gitmodules", file)]);
        let commit = pack.commit(tree);
        host.refuses(text, pack.push(commit)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_and_long_names_arrive_in_little_memory() {
    let host = Host::new(5).await;
    let mut pack = Pack::new();
    let file = pack.blob(b"x");
    let names: Vec<String> = (0..100_000).map(|number| format!("{number:06}")).collect();
    let entries: Vec<(&str, &[u8], Name)> = names.iter().map(|name| ("100644", name.as_bytes(), file)).collect();
    let many = pack.tree(&entries);
    let tree = pack.tree(&[("40000", b"many", many), ("100644", &[b'n'; 4000], file)]);
    let commit = pack.commit(tree);
    let ended = host.receive(pack.push(commit)).await;
    assert!(ended.took < PATIENCE && ended.peak_kib < MEMORY_KIB, "{ended:?}");
    // A git that knows the limit of file systems refuses the long name; an older one leaves it to the build.
    assert!(ended.taken || ended.said.contains("argePathname"), "{ended:?}");
}
