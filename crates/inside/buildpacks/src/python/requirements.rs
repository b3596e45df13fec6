//! What `requirements.txt` says as far as the cache needs to know: every file it is made of, and whether it installs what
//! lies in the app itself, which changes without any of these files changing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The file pip is started with.
pub(super) const FILE: &str = "requirements.txt";
/// More files than this are no requirements of a person.
const MOST_FILES: usize = 100;

/// A requirements file with all it includes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Requirements {
    /// By path below the app's folder; empty if a file is not there, which pip will explain.
    pub(super) files: BTreeMap<PathBuf, Vec<u8>>,
    /// Whether a file or folder of the app is installed, or something else whose content is not known.
    pub(super) is_local: bool,
}

impl Requirements {
    /// Reads the file and all it includes.
    pub(super) fn read(folder: &Path) -> Self {
        let mut all = Self::default();
        let mut waiting = vec![PathBuf::from(FILE)];
        while let Some(path) = waiting.pop() {
            if all.files.contains_key(&path) {
                continue;
            }
            if all.files.len() == MOST_FILES {
                all.is_local = true;
                break;
            }
            let bytes = fs::read(folder.join(&path)).unwrap_or_default();
            for line in lines(&String::from_utf8_lossy(&bytes)) {
                match means(&line) {
                    Means::Includes(other) => match below(&path, &other) {
                        Some(other) => waiting.push(other),
                        None => all.is_local = true,
                    },
                    Means::Local => all.is_local = true,
                    Means::Fixed => {}
                }
            }
            all.files.insert(path, bytes);
        }
        all
    }
}

/// What a line means for the cache.
#[derive(Debug, PartialEq, Eq)]
enum Means {
    Includes(String),
    Local,
    Fixed,
}

/// Lines with their continuations, without comments (pip's "Requirements File Format").
fn lines(text: &str) -> Vec<String> {
    let joined = text.replace("\\\r\n", "").replace("\\\n", "");
    let without = |line: &str| -> String {
        if line.trim_start().starts_with('#') {
            return String::new();
        }
        line.split(" #").next().unwrap_or_default().trim().to_owned()
    };
    joined.lines().map(without).filter(|line| !line.is_empty()).collect()
}

fn means(line: &str) -> Means {
    for option in ["--requirement", "--constraint", "-r", "-c"] {
        if let Some(rest) = line.strip_prefix(option) {
            return Means::Includes(rest.trim_start_matches(['=', ' ', '\t']).trim().to_owned());
        }
    }
    if line.starts_with("-e")
        || line.starts_with("--editable")
        || line.starts_with("--find-links")
        || line.starts_with("-f")
    {
        return Means::Local;
    }
    if line.starts_with('-') {
        return Means::Fixed;
    }
    // `name @ address`, or an address or a path alone.
    let target = line.split_once(" @ ").map_or(line, |(_, target)| target).trim();
    let path = target.split([' ', ';', '[']).next().unwrap_or_default();
    let remote = target.contains("://") && !target.starts_with("file:");
    let is_file = [".whl", ".tar.gz", ".zip", ".tar.bz2"].iter().any(|end| path.ends_with(end));
    if !remote && (target.starts_with("file:") || path.starts_with('.') || path.contains('/') || is_file) {
        return Means::Local;
    }
    Means::Fixed
}

/// An included file's path below the app's folder; none if it lies outside or on another host.
fn below(including: &Path, included: &str) -> Option<PathBuf> {
    if included.contains("://") {
        return None;
    }
    let mut path = including.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(included).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> (Vec<String>, bool) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let all = Requirements::read(folder.path());
        (all.files.keys().map(|path| path.display().to_string()).collect(), all.is_local)
    }

    #[test]
    fn included_files_belong_to_it() {
        let files = [
            (FILE, "-r base.txt\n--requirement=deep/a.txt  # ours\n-c constraints.txt\n# -r never.txt\nflask==3.1\n"),
            ("base.txt", "-r requirements.txt\n"),
            ("deep/a.txt", "--constraint ../other.txt\n-r\\\n b.txt\n"),
        ];
        let (paths, is_local) = read(&files);
        let expected = ["base.txt", "constraints.txt", "deep/a.txt", "deep/b.txt", "other.txt", "requirements.txt"];
        assert_eq!((paths, is_local), (expected.map(str::to_owned).to_vec(), false));
    }

    #[test]
    fn one_case_per_form_of_a_line() {
        for (line, is_local) in [
            ("flask", false),
            ("flask[async]>=3; python_version > '3.8'", false),
            ("flask==3.1 --hash=sha256:00", false),
            ("--extra-index-url https://host/simple", false),
            ("git+https://host/o/r.git@1234#egg=r", false),
            ("r @ https://host/r-1.0.tar.gz", false),
            ("https://host/r.zip", false),
            (".", true),
            ("./lib", true),
            ("lib/thing", true),
            (".[extra]", true),
            ("thing-1.0-py3-none-any.whl", true),
            ("thing @ file:///app/thing", true),
            ("-e .", true),
            ("--editable=./lib", true),
            ("-e git+https://host/o/r.git#egg=r", true),
            ("--find-links wheels", true),
            ("-r ../outside.txt", true),
            ("-r https://host/other.txt", true),
            ("-r /etc/passwd", true),
        ] {
            assert_eq!(read(&[(FILE, line)]).1, is_local, "{line}");
        }
    }
}
