//! What a stack is made of, and the name of exactly that.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Error, StackBuild, file};

/// Raise it when the way images are made changes without a change in the files that make them.
const VERSION: u32 = 1;
const MIRROR: &str = "http://deb.debian.org/debian";

/// What Heroku's images do not have either: documentation and translations.
const DPKG: [&str; 7] = [
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/locale/locale.alias",
];

/// A line of a list that names no package.
#[derive(Debug, thiserror::Error)]
#[error("could not read {list}: {line:?} names no package")]
pub struct InvalidList {
    /// The list.
    pub list: PathBuf,
    /// The line.
    pub line: String,
}

/// All that decides what comes out, but for what the mirror holds today.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) run: Vec<String>,
    pub(super) build: Vec<String>,
    sources: Vec<String>,
    hash: Sha256,
}

impl Recipe {
    pub(super) fn read(plan: &StackBuild) -> Result<Self, Error> {
        let mut hash = Sha256::new();
        let inputs = ["run.txt", "build.txt", "customize.sh", "install-build.sh"].map(|name| plan.lists.join(name));
        let mut texts = vec![];
        for path in inputs.iter().chain([&plan.ca_bundle]) {
            let text = fs::read(path).map_err(file("read", path))?;
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(&text);
            texts.push(text);
        }
        let sources = sources(&plan.suite, plan.mirror.as_deref().unwrap_or(MIRROR));
        hash.update(json!([VERSION, plan.name, plan.suite, sources, DPKG]).to_string());
        let list = |at: usize| packages(&inputs[at], &String::from_utf8_lossy(&texts[at]));
        Ok(Self { run: list(0)?, build: list(1)?, sources, hash })
    }

    /// The name of what comes out: half a SHA-256.
    pub(super) fn key(&self) -> String {
        let whole = vocabulary::Digest::from_bytes(&self.hash.clone().finalize().into());
        whole.as_str().chars().take(32).collect()
    }

    /// mmdebstrap's arguments for the run image in the folder `root`.
    pub(super) fn mmdebstrap(&self, plan: &StackBuild, root: &Path) -> Vec<OsString> {
        let mut args: Vec<OsString> = ["--mode=root", "--variant=minbase", "--format=directory"].map(Into::into).into();
        args.push(format!("--include={}", self.run.join(",")).into());
        args.extend(DPKG.iter().map(|option| format!("--dpkgopt={option}").into()));
        let mut hook = OsString::from("--customize-hook=");
        hook.push(plan.lists.join("customize.sh"));
        args.extend([hook, plan.suite.clone().into(), root.into()]);
        args.extend(self.sources.iter().map(OsString::from));
        args
    }

    /// What is written beside the images; `files` are their digests by name.
    pub(super) fn manifest(&self, plan: &StackBuild, files: &Value) -> Value {
        json!({
            "version": VERSION,
            "name": plan.name,
            "suite": plan.suite,
            "key": self.key(),
            "run": self.run,
            "build": self.build,
            "files": files,
        })
    }
}

/// A suite with its updates and security fixes.
fn sources(suite: &str, mirror: &str) -> Vec<String> {
    let mirror = mirror.trim_end_matches('/');
    let security =
        mirror.strip_suffix("/debian").map_or(format!("{mirror}-security"), |base| format!("{base}/debian-security"));
    vec![
        format!("deb {mirror} {suite} main"),
        format!("deb {mirror} {suite}-updates main"),
        format!("deb {security} {suite}-security main"),
    ]
}

/// The packages of a list: one a line, `#` begins a comment.
fn packages(list: &Path, text: &str) -> Result<Vec<String>, InvalidList> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            // It becomes an argument of programs that take options too.
            let fine = line.bytes().all(plain) && !line.starts_with('-');
            if fine { Ok(line.to_owned()) } else { Err(InvalidList { list: list.to_owned(), line: line.to_owned() }) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_one_package_a_line() {
        let read = |text| packages(Path::new("run.txt"), text);
        assert_eq!(read("# all\nbash\n\ng++ # compiler\n").unwrap(), ["bash", "g++"]);
        assert!(read("--option\n").is_err());
        assert!(read("a b\n").is_err());
        assert!(read("$(x)\n").is_err());
    }

    #[test]
    fn security_fixes_come_from_the_mirrors_neighbour() {
        let sources = sources("trixie", "http://mirror.example/debian/");
        assert_eq!(sources[0], "deb http://mirror.example/debian trixie main");
        assert_eq!(sources[2], "deb http://mirror.example/debian-security trixie-security main");
    }

    #[test]
    fn the_shipped_lists_are_read_and_another_suite_is_another_stack() {
        let lists = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../stacks/debian-13");
        let mut plan = StackBuild {
            name: "debian-13".to_owned(),
            ca_bundle: lists.join("run.txt"),
            lists,
            cache: PathBuf::new(),
            output: PathBuf::new(),
            suite: "trixie".to_owned(),
            mirror: None,
        };
        let recipe = Recipe::read(&plan).unwrap();
        assert!(recipe.run.len() > 80 && recipe.build.len() > 45);
        plan.suite = "sid".to_owned();
        assert_ne!(Recipe::read(&plan).unwrap().key(), recipe.key());
    }
}
