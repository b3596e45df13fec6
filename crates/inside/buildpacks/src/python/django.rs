//! `manage.py collectstatic` for a Django app, as Heroku runs it: unasked, unless `DISABLE_COLLECTSTATIC` is set.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::failures;
use super::packages::Packages;
use crate::builtin::Site;
use crate::environment::Environment;
use crate::error::BuildError;

/// How deep `manage.py` is looked for: the app's folder is 1.
const DEPTH: usize = 3;

/// Collects the static files of a Django app.
pub(super) fn collectstatic(site: &Site<'_>, env: &Environment, packages: &Packages) -> Result<(), BuildError> {
    if !packages.has("django") {
        return Ok(());
    }
    let set = |name: &str| env.get(name).is_some_and(|value| !value.is_empty() && value != "0");
    if set("DISABLE_COLLECTSTATIC") {
        site.out.section("Skipping Django collectstatic since the env var DISABLE_COLLECTSTATIC is set");
        return Ok(());
    }
    let Some(manage) = find(site.build) else {
        site.out.section("Skipping Django collectstatic since no manage.py file was found");
        return Ok(());
    };
    let django = |words: &[&str]| {
        let mut command = Command::new(packages.program());
        command.arg(&manage).args(words).env_clear().envs(env).current_dir(site.build);
        command
    };
    site.out.section(&format!("$ python {} collectstatic --noinput", manage.display()));
    let starting = || BuildError::io("starting manage.py");
    let mut command = django(&["collectstatic", "--noinput", "--traceback"]);
    if site.out.stream_indented(&mut command).map_err(starting())?.success() {
        return Ok(());
    }
    if !is_offered(django(&["help", "--commands"])).map_err(starting())? {
        site.out.text("Skipped: the app has no such command (django.contrib.staticfiles is not in INSTALLED_APPS)");
        return Ok(());
    }
    if set("DEBUG_COLLECTSTATIC") {
        // Names alone: values are secrets, and the output is kept.
        site.out.text("");
        site.out.text("Variables of the build's environment:");
        site.out.text(&env.keys().cloned().collect::<Vec<_>>().join("\n"));
    }
    Err(failures::collectstatic())
}

/// Whether the app has the command. If it cannot even say which commands it has, it has another trouble.
fn is_offered(mut command: Command) -> std::io::Result<bool> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(!output.status.success() || text.lines().any(|line| line.trim() == "collectstatic"))
}

/// The `manage.py` nearest to the app's folder, as a path below it.
fn find(folder: &Path) -> Option<PathBuf> {
    let mut level = vec![PathBuf::new()];
    for _ in 0..DEPTH {
        if let Some(found) = level.iter().map(|below| below.join("manage.py")).find(|path| folder.join(path).is_file())
        {
            return Some(found);
        }
        level = level.iter().flat_map(|below| folders(folder, below)).collect();
    }
    None
}

/// Folders in a folder, by name; hidden ones and those of other tools are not the app's.
fn folders(root: &Path, below: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root.join(below)) else { return Vec::new() };
    let mut names: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.file_name())
        .filter(|name| !name.as_encoded_bytes().starts_with(b".") && name != "node_modules")
        .collect();
    names.sort();
    names.into_iter().map(|name| below.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_manage_py_of_the_app() {
        let app = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let path = app.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        put("a/b/c/manage.py");
        put(".hidden/manage.py");
        assert_eq!(find(app.path()), None);
        put("b/c/manage.py");
        assert_eq!(find(app.path()), Some("b/c/manage.py".into()));
        put("z/manage.py");
        assert_eq!(find(app.path()), Some("z/manage.py".into()));
        put("manage.py");
        assert_eq!(find(app.path()), Some("manage.py".into()));
    }
}
