//! The platform that is pushed to.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use builds::Config;
use engine::GitService;
use http_body_util::BodyExt as _;
use vocabulary::{AccountId, AppId, Secret};

use crate::bench::Bench;
use crate::client::Work;
use crate::sim::Sim;

pub(crate) const TOKEN: &str = "HRKU-owner-owner-owner-owner-owner-owner";
pub(crate) const STRANGER: &str = "HRKU-stranger-stranger-stranger-stranger";

pub(crate) struct Door {
    pub(crate) bench: Bench,
    serving: Option<Serving>,
    repositories: PathBuf,
    config: git::Config,
    _jobs: tokio::task::JoinHandle<()>,
}

/// The door in a runtime of its own, which can end as a process does: everywhere at once.
struct Serving {
    runtime: tokio::runtime::Runtime,
    router: axum::Router,
    address: std::net::SocketAddr,
}

impl Serving {
    fn begin(bench: &Bench, config: &git::Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let inside = runtime.enter();
        let engine = bench.sim.engine();
        let (builds, blobs, outputs) = (bench.builds.clone(), bench.blobs.clone(), bench.outputs.clone());
        let pushes = bench.folder.path().join("pushes");
        let state = git::Git::new(bench.store.clone(), engine, builds, blobs, outputs, &pushes, config).unwrap();
        let router = git::router(state);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = router.clone();
        tokio::spawn(async move { axum::serve(listener, serving).await.unwrap() });
        drop(inside);
        Self { runtime, router, address }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.end();
    }
}

impl Door {
    pub(crate) async fn open() -> Self {
        Self::with(git::Config::default()).await
    }

    pub(crate) async fn with(config: git::Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repositories = folder.path().join("git");
        let hooks = hooks(folder.path());
        let place = repositories.clone();
        let run_git = Arc::new(move |app, service, protocol: Option<String>, fds: Vec<OwnedFd>| {
            run_git(&place, &hooks, app, service, protocol.as_deref(), &fds)
        });
        let sim = Sim::begin(folder.path(), Some(run_git));
        let bench = Box::pin(Bench::around(Config::default(), folder, sim)).await;
        let stranger = stranger(&bench).await;
        authorize(&bench, bench.account.id, TOKEN).await;
        authorize(&bench, stranger, STRANGER).await;
        let serving = Some(Serving::begin(&bench, &config));
        let jobs = bench.run_jobs();
        Self { bench, serving, repositories, config, _jobs: jobs }
    }

    /// Ends the door as the end of its process would.
    pub(crate) fn end(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.runtime.shutdown_background();
        }
    }

    /// Begins anew, at another address.
    pub(crate) fn begin(&mut self) {
        self.serving = Some(Serving::begin(&self.bench, &self.config));
    }

    fn serving(&self) -> &Serving {
        self.serving.as_ref().unwrap()
    }

    /// The commit of a branch, once it is this one.
    pub(crate) async fn branch_becomes(&self, branch: &str, commit: &str) -> bool {
        let repository = self.repositories.join(self.bench.app.id.to_string());
        for _ in 0..1000 {
            let mut command = Command::new("git");
            command.arg("-C").arg(&repository).args(["rev-parse", "--verify", "--quiet", branch]);
            let is = String::from_utf8(command.output().unwrap().stdout).unwrap();
            if is.trim() == commit {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        false
    }

    /// How many pushes are kept.
    pub(crate) fn kept(&self) -> usize {
        std::fs::read_dir(self.bench.folder.path().join("pushes")).unwrap().count()
    }

    pub(crate) fn url(&self, token: &str, app: &str) -> String {
        format!("http://heroku:{token}@{}/{app}.git", self.serving().address)
    }

    pub(crate) fn work(&self) -> Work {
        Work::new(self.url(TOKEN, "app"))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Vec<u8>) {
        self.ask(axum::http::Request::get(format!("/app.git/{path}")), vec![].into()).await
    }

    /// As [`Door::get`] of any path; nothing if no request can have it.
    pub(crate) async fn get_path(&self, path: &str) -> Option<(u16, Vec<u8>)> {
        axum::http::Uri::try_from(path).ok()?;
        Some(self.ask(axum::http::Request::get(path), vec![].into()).await)
    }

    pub(crate) async fn post(&self, service: &str, body: &[u8]) -> (u16, Vec<u8>) {
        self.post_slowly(service, body.to_vec().into()).await
    }

    /// Sends a body at its own pace.
    pub(crate) async fn post_slowly(&self, service: &str, body: axum::body::Body) -> (u16, Vec<u8>) {
        let request = axum::http::Request::post(format!("/app.git/{service}"))
            .header("content-type", format!("application/x-{service}-request"));
        self.ask(request, body).await
    }

    async fn ask(&self, request: axum::http::request::Builder, body: axum::body::Body) -> (u16, Vec<u8>) {
        use base64::Engine as _;
        use tower::ServiceExt as _;
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!(":{TOKEN}"));
        let request = request.header("authorization", format!("Basic {credentials}"));
        let request = request.body(body).unwrap();
        let answer = self.serving().router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.into_body().collect().await.unwrap().to_bytes().to_vec())
    }

    /// The body of a good push of one commit to main.
    pub(crate) async fn recorded_push(&self) -> Vec<u8> {
        let work = self.work();
        work.write("file", &"content ".repeat(100));
        let commit = work.commit("One").await;
        let line = format!("{} {commit} refs/heads/main\0 report-status side-band-64k", "0".repeat(40));
        let mut body = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
        let mut child = Command::new("git")
            .args(["pack-objects", "--stdout", "--revs", "-q"])
            .current_dir(work.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), format!("{commit}\n").as_bytes()).unwrap();
        body.extend(child.wait_with_output().unwrap().stdout);
        body
    }

    /// Files below the repository's objects.
    pub(crate) fn objects(&self) -> usize {
        fn files(folder: &Path) -> usize {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
        }
        files(&self.repositories.join(self.bench.app.id.to_string()).join("objects"))
    }
}

async fn stranger(bench: &Bench) -> AccountId {
    let mut write = bench.store.write().await.unwrap();
    let account = store::accounts::create(&mut write, "other@example.com", &Secret::new("x")).await.unwrap();
    write.commit().await.unwrap();
    account.id
}

async fn authorize(bench: &Bench, account_id: AccountId, token: &str) {
    let new = store::authorizations::New {
        account_id,
        token: &Secret::new(token),
        description: "test",
        scope: &["global".to_owned()],
        is_default: true,
        expires_at: None,
    };
    let mut write = bench.store.write().await.unwrap();
    store::authorizations::create(&mut write, &new).await.unwrap();
    write.commit().await.unwrap();
}

/// A folder of hooks whose one hook is this program.
fn hooks(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let hooks = folder.join("hooks");
    let hook = hooks.join("pre-receive");
    std::fs::create_dir_all(&hooks).unwrap();
    let program = std::env::current_exe().unwrap();
    std::fs::write(&hook, format!("#!/bin/sh\nexec {} pre-receive\n", program.display())).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    hooks
}

/// Runs git as the engine does, without its sandbox.
fn run_git(
    repositories: &Path,
    hooks: &Path,
    app: AppId,
    service: GitService,
    protocol: Option<&str>,
    fds: &[OwnedFd],
) -> i32 {
    let repository = repositories.join(app.to_string());
    if !repository.exists() {
        let made = Command::new("git")
            .args(["init", "--quiet", "--bare", "--initial-branch=main"])
            .arg(&repository)
            .status()
            .unwrap();
        assert!(made.success());
    }
    let [stdin, stdout, stderr, hook @ ..] = fds else { panic!("git needs three descriptors") };
    let inherit = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
    // Bash puts the hook's pipes where the engine puts them.
    let mut script = "exec git \"$@\"".to_owned();
    for (fd, redirection) in hook.iter().zip(["3>&", "4<&"]) {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty()).unwrap();
        script = format!("{script} {redirection}{}", fd.as_raw_fd());
    }
    let (verb, mode) = match service {
        GitService::AdvertiseUpload => ("upload-pack", "--http-backend-info-refs"),
        GitService::Upload => ("upload-pack", "--stateless-rpc"),
        GitService::AdvertiseReceive => ("receive-pack", "--http-backend-info-refs"),
        GitService::Receive => ("receive-pack", "--stateless-rpc"),
    };
    let mut command = Command::new("bash");
    command.args(["-c", &script, "git", "-c", "receive.fsckObjects=true", "-c"]);
    command.arg(format!("core.hooksPath={}", hooks.display())).args([verb, mode]).arg(&repository);
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
    command.env("HOME", "/nonexistent").envs(protocol.map(|protocol| ("GIT_PROTOCOL", protocol)));
    let child = command.stdin(inherit(stdin)).stdout(inherit(stdout)).stderr(inherit(stderr)).spawn();
    child.unwrap().wait().unwrap().code().unwrap_or(128)
}
