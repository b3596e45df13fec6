//! Repositories with the host's real git. Needs root.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use engine::{GitService, Refusal};
use local::git::{Repositories, RepositoriesConfig};
use tempfile::TempDir;
use vocabulary::AppId;

const GIT: u32 = 64_997;

struct Host {
    repositories: Repositories,
    folder: TempDir,
}

fn host(hook: &str, max_input_bytes: u64) -> Host {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let hooks = folder.path().join("hooks");
    fs::create_dir(&hooks).unwrap();
    fs::write(hooks.join("pre-receive"), hook).unwrap();
    fs::set_permissions(hooks.join("pre-receive"), fs::Permissions::from_mode(0o755)).unwrap();
    let config = RepositoriesConfig {
        folder: folder.path().join("git"),
        uid: GIT,
        gid: GIT,
        hooks,
        hook_program: "/usr/bin/true".into(),
        git: "/usr/bin/git".into(),
        max_input_bytes,
    };
    Host { repositories: Repositories::open(&config).unwrap(), folder }
}

/// Runs a service and answers its status, output and complaints, and what the hook wrote to 3.
async fn run(host: &Host, app: AppId, service: GitService, input: Vec<u8>) -> (i32, Vec<u8>, String, String) {
    let pipe = || std::io::pipe().unwrap();
    let ((stdin, mut feed), (out, stdout), (err, stderr)) = (pipe(), pipe(), pipe());
    let ((from_hook, hook_writes), (hook_reads, mut to_hook)) = (pipe(), pipe());
    let mut fds: Vec<OwnedFd> = vec![stdin.into(), stdout.into(), stderr.into()];
    if service == GitService::Receive {
        fds.extend([OwnedFd::from(hook_writes), OwnedFd::from(hook_reads)]);
    } else {
        drop(hook_writes);
    }
    let read = |mut from: std::io::PipeReader| {
        tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).unwrap();
            bytes
        })
    };
    let (out, err, from_hook) = (read(out), read(err), read(from_hook));
    let writer = tokio::task::spawn_blocking(move || drop(feed.write_all(&input)));
    to_hook.write_all(b"yes\n").ok();
    drop(to_hook);
    let status = host.repositories.run(app, service, Some("version=2; evil".to_owned()), fds).await.unwrap();
    writer.await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status, out.await.unwrap(), text(err.await.unwrap()), text(from_hook.await.unwrap()))
}

fn git(folder: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    let names = ["AUTHOR", "COMMITTER"]
        .map(|who| [(format!("GIT_{who}_NAME"), "a"), (format!("GIT_{who}_EMAIL"), "a@example.com")]);
    let mut command = Command::new("git");
    command.current_dir(folder).args(args).envs(names.into_iter().flatten()).env("GIT_CONFIG_GLOBAL", "/dev/null");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {args:?}");
    output.stdout
}

/// What a client sends to push one commit to main, as `git push` over HTTP sends it.
fn push(work: &Path, payload: &[u8]) -> (String, Vec<u8>) {
    git(work, &["init", "--quiet", "--initial-branch=main", "."], b"");
    fs::write(work.join("file"), payload).unwrap();
    git(work, &["add", "."], b"");
    git(work, &["commit", "--quiet", "-m", "first"], b"");
    let commit = String::from_utf8(git(work, &["rev-parse", "HEAD"], b"")).unwrap().trim().to_owned();
    let zero = "0".repeat(40);
    let line = format!("{zero} {commit} refs/heads/main\0 report-status\n");
    let mut bytes = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
    bytes.extend(git(work, &["pack-objects", "--stdout", "--revs", "-q"], b"HEAD\n"));
    (commit, bytes)
}

/// The bytes of an object's name.
fn bytes(name: &str) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    name.trim().as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn work() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn a_new_repository_is_empty_its_users_own_and_advertises_itself() {
    let host = host("#!/bin/sh\n", 1 << 20);
    let app = AppId::new();
    host.repositories.create(app).await.unwrap();
    host.repositories.create(app).await.unwrap();
    let path = host.folder.path().join(format!("git/{app}.git"));
    assert_eq!(fs::metadata(&path).unwrap().uid(), GIT);
    assert_eq!(fs::read_to_string(path.join("HEAD")).unwrap(), "ref: refs/heads/main\n");
    for service in [GitService::AdvertiseUpload, GitService::AdvertiseReceive] {
        let (status, output, complaint, _) = run(&host, app, service, vec![]).await;
        assert_eq!(status, 0, "{complaint}");
        assert!(output.ends_with(b"0000"), "a list of no refs: {output:?}");
    }
    host.repositories.remove(app).await.unwrap();
    host.repositories.remove(app).await.unwrap();
    let gone = host.repositories.run(app, GitService::Upload, None, vec![]).await;
    assert!(matches!(gone, Err(Refusal::NotFound(_))), "{gone:?}");
}

#[tokio::test]
async fn many_that_create_the_same_repository_at_once_all_succeed() {
    let host = host("#!/bin/sh\n", 1 << 20);
    let app = AppId::new();
    let create = || host.repositories.create(app);
    let (first, second, third) = tokio::join!(create(), create(), create());
    assert_eq!((first, second, third), (Ok(()), Ok(()), Ok(())));
    assert!(host.folder.path().join(format!("git/{app}.git/HEAD")).is_file());
}

#[tokio::test]
async fn a_push_runs_the_platforms_hook_with_its_pipes() {
    let host =
        host("#!/bin/sh\nread old new ref\necho \"$new $ref\" >&3\nread answer <&4\n[ \"$answer\" = yes ]\n", 1 << 20);
    let app = AppId::new();
    host.repositories.create(app).await.unwrap();
    let work = work();
    let (commit, request) = push(work.path(), b"hello");
    let (status, output, complaint, told) = run(&host, app, GitService::Receive, request).await;
    assert_eq!((status, complaint.as_str()), (0, ""));
    assert!(String::from_utf8_lossy(&output).contains("ok refs/heads/main"));
    assert_eq!(told, format!("{commit} refs/heads/main\n"));
    let (_, refs, ..) = run(&host, app, GitService::AdvertiseUpload, vec![]).await;
    assert!(String::from_utf8_lossy(&refs).contains(&commit));
}

#[tokio::test]
async fn a_hook_sees_its_repository_and_nothing_else() {
    let other = AppId::new();
    let secret = PathBuf::from("/var/tmp").join(format!("slipway-secret-{other}"));
    fs::write(&secret, "secret").unwrap();
    let probe = format!(
        "#!/bin/sh\nexec 2>/dev/null\n\
         cat /etc/shadow >&3 && echo shadow >&3\ncat {secret} >&3 && echo file >&3\n\
         ls ../{other}.git >&3 && echo repository >&3\necho x >/tmp/slipway-{other} && echo tmp >&3\n\
         echo x >hooks-here && echo own >&3\nls /proc >&3 && echo proc >&3\n\
         id -G >&3\ngrep -c eth /proc/net/dev >&3\nexit 1\n",
        secret = secret.display()
    );
    let host = host(&probe, 1 << 20);
    let app = AppId::new();
    host.repositories.create(app).await.unwrap();
    host.repositories.create(other).await.unwrap();
    let (_, request) = push(work().path(), b"hello");
    let (_, output, _, told) = run(&host, app, GitService::Receive, request).await;
    fs::remove_file(&secret).unwrap();
    assert_eq!(told, format!("own\n{GIT}\n"), "its own repository, one group, nothing else");
    assert!(String::from_utf8_lossy(&output).contains("pre-receive hook declined"));
}

#[tokio::test]
async fn what_a_repository_says_of_itself_does_not_count() {
    let host = host("#!/bin/sh\necho platform >&3\n", 1 << 20);
    let app = AppId::new();
    host.repositories.create(app).await.unwrap();
    let path = host.folder.path().join(format!("git/{app}.git"));
    fs::create_dir(path.join("hooks")).unwrap();
    for (hook, at) in [("pre-receive", "hooks/pre-receive"), ("post-receive", "hooks/post-receive")] {
        fs::write(path.join(at), format!("#!/bin/sh\necho {hook} of the repository >&3\n")).unwrap();
        fs::set_permissions(path.join(at), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut config = File::options().append(true).open(path.join("config")).unwrap();
    config.write_all(b"[core]\n hooksPath = hooks\n[receive]\n fsckObjects = false\n denyUpdates = true\n").unwrap();
    let (_, request) = push(work().path(), b"hello");
    let (_, _, _, told) = run(&host, app, GitService::Receive, request).await;
    assert_eq!(told, "platform\n");
}

#[tokio::test]
async fn too_large_a_pack_and_a_broken_one_are_refused_and_leave_nothing() {
    let host = host("#!/bin/sh\necho hook >&3\n", 4096);
    let app = AppId::new();
    host.repositories.create(app).await.unwrap();
    let mut random = vec![0; 100_000];
    File::open("/dev/urandom").unwrap().read_exact(&mut random).unwrap();
    let (_, mut request) = push(work().path(), &random);
    let (_, large, _, told) = run(&host, app, GitService::Receive, request.clone()).await;
    assert!(!String::from_utf8_lossy(&large).contains("ok refs/heads/main"), "{}", String::from_utf8_lossy(&large));
    request.truncate(200);
    let (_, broken, ..) = run(&host, app, GitService::Receive, request).await;
    assert!(!String::from_utf8_lossy(&broken).contains("ok refs/heads/main"));
    assert_eq!(told, "", "no hook ran");
    let objects = host.folder.path().join(format!("git/{app}.git/objects"));
    let left: Vec<_> = fs::read_dir(objects)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "info" && name != "pack")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_tree_that_would_overwrite_dot_git_is_refused() {
    let host = host("#!/bin/sh\necho hook >&3\n", 1 << 20);
    let app = AppId::new();
    host.repositories.create(app).await.unwrap();
    let work = work();
    push(work.path(), b"hello");
    let blob =
        String::from_utf8(git(work.path(), &["hash-object", "-w", "--stdin"], b"[core]\n fsmonitor = evil\n")).unwrap();
    let mut tree = b"100644 config\0".to_vec();
    tree.extend(bytes(&blob));
    let inner =
        String::from_utf8(git(work.path(), &["hash-object", "-t", "tree", "-w", "--stdin", "--literally"], &tree))
            .unwrap();
    let mut tree = b"40000 .GIT\0".to_vec();
    tree.extend(bytes(&inner));
    let outer =
        String::from_utf8(git(work.path(), &["hash-object", "-t", "tree", "-w", "--stdin", "--literally"], &tree))
            .unwrap();
    let commit = String::from_utf8(git(work.path(), &["commit-tree", outer.trim(), "-m", "evil"], b"")).unwrap();
    let line = format!("{} {} refs/heads/main\0 report-status\n", "0".repeat(40), commit.trim());
    let mut request = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
    request.extend(git(work.path(), &["pack-objects", "--stdout", "--revs", "-q"], commit.as_bytes()));
    let (_, output, complaint, told) = run(&host, app, GitService::Receive, request).await;
    assert!(complaint.contains("hasDotgit"), "{complaint} {}", String::from_utf8_lossy(&output));
    assert_eq!(told, "", "no hook ran");
}

#[tokio::test]
async fn a_request_with_the_wrong_descriptors_is_refused() {
    let host = host("#!/bin/sh\n", 1 << 20);
    let app = AppId::new();
    host.repositories.create(app).await.unwrap();
    let null = || OwnedFd::from(File::open("/dev/null").unwrap());
    let refused = host.repositories.run(app, GitService::Receive, None, vec![null(), null(), null()]).await;
    assert!(matches!(refused, Err(Refusal::Invalid(_))));
}

/// The bytes of all files of a repository.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}

#[tokio::test]
async fn what_forced_pushes_leave_and_broken_ones_goes_and_what_is_led_to_stays() {
    let host = host("#!/bin/sh\nexit 0\n", 8 << 20);
    let app = AppId::new();
    host.repositories.create(app).await.unwrap();
    let path = host.folder.path().join(format!("git/{app}.git"));
    let work = work();
    let noise: Vec<u8> =
        (0..200_000u32).map(|at| u8::try_from((at.wrapping_mul(2_654_435_761) >> 13) & 0xff).unwrap()).collect();
    let (commit, pushed) = push(work.path(), &noise);
    assert_eq!(run(&host, app, GitService::Receive, pushed).await.0, 0);
    let kept = size(&path);
    let trash = git(work.path(), &["hash-object", "-w", "--stdin"], &[noise.as_slice(), b"x"].concat());
    let loose = String::from_utf8(trash).unwrap();
    let (folder, name) = loose.trim().split_at(2);
    // As receive-pack leaves it when a branch is forced elsewhere, two days ago; and a quarantine of a git that died.
    let left = path.join("objects").join(folder);
    fs::create_dir_all(&left).unwrap();
    fs::copy(work.path().join(".git/objects").join(folder).join(name), left.join(name)).unwrap();
    let quarantine = path.join("objects/tmp_objdir-incoming-x");
    fs::create_dir(&quarantine).unwrap();
    fs::write(quarantine.join("tmp_pack"), &noise).unwrap();
    let chown = Command::new("chown").args(["-R", &format!("{GIT}:{GIT}")]).arg(&path).status().unwrap();
    let mut find = Command::new("find");
    let age = find.arg(path.join("objects")).args(["-exec", "touch", "-d", "2 days ago", "{}", "+"]).status().unwrap();
    assert!(chown.success() && age.success());
    assert!(size(&path) > 2 * kept);
    host.repositories.tidy(app).await.unwrap();
    assert!(!quarantine.exists());
    assert!(size(&path) < kept + kept / 2, "{} bytes of {kept}", size(&path));
    let found = git(&path, &["-c", "safe.directory=*", "cat-file", "-t", &commit], b"");
    assert_eq!(found, b"commit\n");
    // A second look finds nothing to do.
    host.repositories.tidy(app).await.unwrap();
}
