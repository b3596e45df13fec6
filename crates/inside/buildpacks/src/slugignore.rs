//! `.slugignore`: what of the source does not belong in the slug, removed before any buildpack runs.
//!
//! Lines are patterns as in `.gitignore`, except that there is no negation with `!` and only the file at the root
//! counts (Heroku Dev Center, "Slug Compiler"). A pattern with a slash before its end is matched from the root, any
//! other at every depth; one with a slash at its end matches folders only.

use std::fs;
use std::io;
use std::path::Path;

use glob::{MatchOptions, Pattern};

const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    from_root: bool,
    folders_only: bool,
}

/// Removes what `.slugignore` names; gives how many files and folders were removed, and none if there is no such file.
pub(crate) fn apply(folder: &Path) -> io::Result<Option<u64>> {
    let text = match fs::read(folder.join(".slugignore")) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let rules: Vec<Rule> = text.lines().filter_map(rule).collect();
    remove(folder, Path::new(""), &rules).map(Some)
}

fn rule(line: &str) -> Option<Rule> {
    let line = line.trim_end();
    if line.is_empty() || line.starts_with(['#', '!']) {
        return None;
    }
    let body = line.trim_end_matches('/');
    let from_root = body.contains('/');
    let pattern = Pattern::new(body.trim_start_matches('/')).ok()?;
    Some(Rule { pattern, from_root, folders_only: line.ends_with('/') })
}

fn remove(root: &Path, below: &Path, rules: &[Rule]) -> io::Result<u64> {
    let mut removed = 0;
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        // The type of the entry itself: a link to a folder is no folder.
        let is_folder = entry.file_type()?.is_dir();
        if rules.iter().any(|rule| rule.matches(&path, is_folder)) {
            if is_folder {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
            removed += 1;
        } else if is_folder {
            removed += remove(root, &path, rules)?;
        }
    }
    Ok(removed)
}

impl Rule {
    fn matches(&self, path: &Path, is_folder: bool) -> bool {
        if self.folders_only && !is_folder {
            return false;
        }
        let name = Path::new(path.file_name().unwrap_or_default());
        self.pattern.matches_path_with(if self.from_root { path } else { name }, OPTIONS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(line: &str, path: &str, is_folder: bool) -> bool {
        rule(line).is_some_and(|rule| rule.matches(Path::new(path), is_folder))
    }

    #[test]
    fn one_case_per_line_of_the_rule() {
        let cases = [
            ("*.psd", "a.psd", false, true),
            ("*.psd", "deep/down/a.psd", false, true),
            ("tests", "tests", true, true),
            ("tests", "lib/tests", true, true),
            ("/tests", "tests", true, true),
            ("/tests", "lib/tests", true, false),
            ("tests/", "tests", true, true),
            ("tests/", "tests", false, false),
            ("docs/*.pdf", "docs/a.pdf", false, true),
            ("docs/*.pdf", "docs/deep/a.pdf", false, false),
            ("docs/**/*.pdf", "docs/deep/er/a.pdf", false, true),
            ("a?c", "abc", false, true),
            ("[ab].txt", "b.txt", false, true),
            ("# comment", "# comment", false, false),
            ("!keep", "keep", false, false),
            ("  ", "  ", false, false),
            (".env", ".env", false, true),
        ];
        for (line, path, is_folder, expected) in cases {
            assert_eq!(matched(line, path, is_folder), expected, "{line:?} on {path:?}");
        }
    }

    #[test]
    fn a_matched_folder_goes_whole_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("x.psd"), "").unwrap();
        fs::create_dir_all(folder.path().join("spec/deep")).unwrap();
        fs::write(folder.path().join("spec/deep/a"), "").unwrap();
        fs::write(folder.path().join("keep"), "").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).unwrap();
        fs::write(folder.path().join(".slugignore"), "spec\n*.psd\n").unwrap();
        assert_eq!(apply(folder.path()).unwrap(), Some(1));
        assert!(!folder.path().join("spec").exists());
        assert!(folder.path().join("keep").exists());
        assert!(outside.path().join("x.psd").exists());
    }
}
