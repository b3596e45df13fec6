//! The contract, run on this host in a temporary folder: real tars, real bash buildpacks, a real git.

mod contract;
mod examples;
mod hostile;
mod nodejs;
mod python;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use inside_contract::{BuildReport, BuildRequest, BuildpackRef, Compiled, Runtime};

use crate::layout::Layout;
use crate::output::Output;
use crate::sequence::{self, Channels};

/// A place to build in, which stays for several builds of one app.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) layout: Layout,
    pub(crate) request: BuildRequest,
}

/// What came out of one build.
pub(crate) struct Built {
    pub(crate) report: BuildReport,
    pub(crate) output: String,
    pub(crate) slug: PathBuf,
    pub(crate) cache: Vec<u8>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut layout = Layout::inside();
        layout.app = folder.path().join("app");
        layout.cache = folder.path().join("cache");
        layout.work = folder.path().join("work");
        layout.git_protocols = "file".to_owned();
        layout.curl_protocols = "=file".to_owned();
        for made in [&layout.app, &layout.cache, &layout.work] {
            fs::create_dir(made).unwrap();
        }
        let request = BuildRequest {
            stack: "heroku-24".to_owned(),
            source_version: Some("abc123".to_owned()),
            request_id: "11111111-2222".to_owned(),
            config_vars: BTreeMap::new(),
            buildpacks: Vec::new(),
            runtimes: Vec::new(),
            sources: BTreeMap::new(),
            strip_top_folder: false,
        };
        Self { folder, layout, request }
    }

    /// Builds an app of these files; a name that ends with `*` is executable.
    pub(crate) fn build(&self, files: &[(&str, &str)]) -> Built {
        self.build_tar(&tar_of(files))
    }

    pub(crate) fn build_tar(&self, source: &[u8]) -> Built {
        let mut log = tempfile::tempfile().unwrap();
        let out = Output::new(log.try_clone().unwrap());
        let (mut slug, mut cache) = (Vec::new(), Vec::new());
        let channels =
            Channels { source: Box::new(source), slug: Box::new(&mut slug), cache: Box::new(&mut cache), out: &out };
        let report = sequence::run(&self.request, channels, &self.layout);
        let mut output = String::new();
        log.rewind().unwrap();
        log.read_to_string(&mut output).unwrap();
        let output = output.replace(&self.folder.path().display().to_string(), "ROOT");
        let unpacked = self.folder.path().join("slug");
        fs::remove_dir_all(&unpacked).ok();
        tar::Archive::new(slug.as_slice()).unpack(&unpacked).unwrap();
        Built { report, output, slug: unpacked, cache }
    }

    /// Writes a buildpack's programs and commits them; gives the repository's URL.
    pub(crate) fn buildpack(&self, name: &str, programs: &[(&str, &str)]) -> BuildpackRef {
        let folder = self.folder.path().join("buildpacks").join(name);
        for (program, script) in programs {
            let path = folder.join("bin").join(program);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("#!/usr/bin/env bash\nset -eu\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        commit(&folder);
        BuildpackRef::Git(format!("file://{}", folder.display()))
    }

    /// Mounts the host's node and npm as the shared runtimes.
    pub(crate) fn mount_node(&mut self) {
        let runtimes = self.layout.runtimes();
        fs::create_dir_all(runtimes.join("node/bin")).unwrap();
        let node = command("sh", &["-c", "readlink -f \"$(command -v node)\""]);
        let npm = command("sh", &["-c", "readlink -f \"$(command -v npm)\""]);
        std::os::unix::fs::symlink(&node, runtimes.join("node/bin/node")).unwrap();
        let package = Path::new(&npm).parent().unwrap().parent().unwrap();
        fs::create_dir_all(runtimes.join("node/lib/node_modules")).unwrap();
        std::os::unix::fs::symlink(package, runtimes.join("node/lib/node_modules/npm")).unwrap();
        std::os::unix::fs::symlink(package.join("bin/npm-cli.js"), runtimes.join("node/bin/npm")).unwrap();
        let node_version = command(&node, &["--version"]).trim_start_matches('v').to_owned();
        let npm_version = fs::read_to_string(package.join("package.json")).unwrap();
        let npm_version: serde_json::Value = serde_json::from_str(&npm_version).unwrap();
        let npm_version = npm_version["version"].as_str().unwrap().to_owned();
        self.request.runtimes = vec![
            Runtime { name: "node".to_owned(), version: node_version },
            Runtime { name: "npm".to_owned(), version: npm_version },
        ];
    }
}

impl Built {
    #[track_caller]
    pub(crate) fn compiled(&self) -> &Compiled {
        match &self.report {
            BuildReport::Compiled(compiled) => compiled,
            other => panic!("{other:?}\n{}", self.output),
        }
    }

    #[track_caller]
    pub(crate) fn failed(&self) -> &str {
        match &self.report {
            BuildReport::Failed { message, .. } => message,
            other => panic!("{other:?}\n{}", self.output),
        }
    }

    pub(crate) fn file(&self, path: &str) -> String {
        fs::read_to_string(self.slug.join(path)).unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.output))
    }
}

pub(crate) fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(if name.ends_with('*') { 0o755 } else { 0o644 });
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name.trim_end_matches('*'), content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

pub(crate) fn commit(folder: &Path) {
    let folder = folder.to_str().unwrap();
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"];
    for arguments in [&["init", "--quiet"][..], &["add", "."], &["commit", "--quiet", "--allow-empty", "-m", "x"]] {
        command("git", &[&identity[..], &["-C", folder], arguments].concat());
    }
}

pub(crate) fn command(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(std::process::Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A file in the bench's folder.
pub(crate) fn open(path: &Path) -> File {
    File::open(path).unwrap()
}
