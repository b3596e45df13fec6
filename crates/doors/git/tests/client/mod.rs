//! The one who pushes: a work tree and the real git.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use tokio::process::{Child, Command};

/// A work tree.
pub(crate) struct Work {
    folder: tempfile::TempDir,
    pub(crate) url: String,
}

/// How a git command ended.
pub(crate) struct Ended {
    pub(crate) taken: bool,
    pub(crate) text: String,
}

impl Work {
    pub(crate) fn new(url: String) -> Self {
        let work = Self { folder: tempfile::tempdir().unwrap(), url };
        let mut init = std::process::Command::new("git");
        init.args(["init", "--quiet", "--initial-branch=main"]).arg(work.folder.path());
        assert!(init.status().unwrap().success());
        work
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Commits everything, keeping exec bits set in the index; answers the commit.
    pub(crate) async fn commit(&self, message: &str) -> String {
        self.run(&["-c", "core.fileMode=false", "add", "--all"]).await;
        self.run(&["commit", "--quiet", "--message", message]).await;
        self.run(&["rev-parse", "HEAD"]).await.trim().to_owned()
    }

    pub(crate) async fn push(&self, refspec: &str) -> Ended {
        self.git(&["push", &self.url, refspec]).await
    }

    /// A command that must succeed; answers what it printed.
    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(arguments).output().await.unwrap();
        assert!(status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    pub(crate) async fn git(&self, arguments: &[&str]) -> Ended {
        let Output { status, stdout, stderr } = self.command(arguments).output().await.unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&stderr), String::from_utf8_lossy(&stdout));
        Ended { taken: status.success(), text }
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.folder.path()).env_clear().kill_on_drop(true);
        command.envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
        for (name, value) in [
            ("HOME", "/nonexistent"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_AUTHOR_NAME", "Me"),
            ("GIT_AUTHOR_EMAIL", "me@example.com"),
            ("GIT_COMMITTER_NAME", "Me"),
            ("GIT_COMMITTER_EMAIL", "me@example.com"),
        ] {
            command.env(name, value);
        }
        command
    }
}
