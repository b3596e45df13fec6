//! Why a Python app cannot be built: what happened, what we saw, what to try.

use inside_contract::PythonVersion;

use crate::error::BuildError;

fn app(message: String, explanation: String) -> BuildError {
    BuildError::App { message, explanation }
}

pub(super) fn no_manager(has_pyproject: bool, has_setup: bool) -> BuildError {
    let saw = match (has_pyproject, has_setup) {
        (true, _) => "There is a pyproject.toml, but no lockfile beside it.\n\n",
        (false, true) => "There is a setup.py, but nothing that says what else to install.\n\n",
        _ => "",
    };
    app(
        "no file of a package manager found".to_owned(),
        format!(
            "No file of a Python package manager was found at the root of the app.\n\n{saw}\
             One of these must be there, also if the app needs no packages:\n\
             - requirements.txt, for pip; it may be empty\n\
             - uv.lock, for uv; `uv lock` makes it\n\n\
             If it is there locally: is it committed, at the root, and not named in .gitignore or .slugignore?"
        ),
    )
}

pub(super) fn several_managers(found: &[(&str, &str)]) -> BuildError {
    let list: Vec<String> = found.iter().map(|(name, file)| format!("- {file} ({name})")).collect();
    let files: Vec<&str> = found.iter().map(|(_, file)| *file).collect();
    app(
        format!("several package managers' files found: {}", files.join(", ")),
        format!(
            "Files of several Python package managers were found:\n\n{}\n\n\
             It is not known which of them the app is meant to be installed with.\n\
             Keep the file of the one you use and remove the others from the repository, for example:\n\n    git rm {}",
            list.join("\n"),
            files.first().copied().unwrap_or_default()
        ),
    )
}

pub(super) fn other_manager(manager: &str, file: &str) -> BuildError {
    let export = if manager == "Poetry" {
        "poetry export --output requirements.txt    (with the plugin poetry-plugin-export)"
    } else {
        "pipenv requirements > requirements.txt"
    };
    app(
        format!("{manager} is not built in yet"),
        format!(
            "This app is installed with {manager} (it has {file}), which is not built in yet.\n\n\
             Write its packages down for pip, commit requirements.txt, remove {file} and push again:\n\n    {export}\n\n\
             Or set the buildpack by its URL:\n\n    \
             heroku buildpacks:set https://github.com/heroku/heroku-buildpack-python"
        ),
    )
}

const FORMS: &str = "It must be a version such as 3.13 (its newest patch release) or 3.13.5 (exactly this one),\n\
    without a range, quotes or the name of another interpreter.";

pub(super) fn invalid_version(file: &str, text: &str) -> BuildError {
    let text: String = text.chars().take(80).collect();
    app(
        format!("{text:?} in {file} is no Python version"),
        format!("The version \"{text}\" in {file} could not be understood.\n\n{FORMS}"),
    )
}

pub(super) fn no_version(file: &str) -> BuildError {
    app(
        format!("no Python version found in {file}"),
        format!("The file {file} holds no version.\n\n{FORMS}\nOr remove the file, to get the platform's default."),
    )
}

pub(super) fn several_versions(file: &str, found: &[&str]) -> BuildError {
    let found: Vec<String> = found.iter().take(5).map(|text| text.chars().take(80).collect()).collect();
    app(
        format!("several Python versions found in {file}"),
        format!("The file {file} holds several versions:\n\n    {}\n\nKeep the one to be used.", found.join("\n    ")),
    )
}

pub(super) fn invalid_runtime_file(text: &str) -> BuildError {
    let text: String = text.chars().take(80).collect();
    app(
        format!("{text:?} in runtime.txt is no Python version"),
        format!(
            "The text \"{text}\" of runtime.txt could not be understood.\n\n\
             It must be python- and an exact version, such as python-3.13.5.\n\
             The file is deprecated: better remove it and write the version alone, such as 3.13, into .python-version."
        ),
    )
}

pub(super) fn unsupported_version(file: &str, text: &str) -> BuildError {
    app(
        format!("Python {text} is no longer supported"),
        format!(
            "Python {text}, which {file} asks for, gets no security updates any more and is not supported.\n\n\
             The oldest that is supported is 3.10. Change the version in {file}, try the app with it, and push again."
        ),
    )
}

pub(super) fn deprecated_runtime_file(version: PythonVersion) -> String {
    format!(
        "Warning: the file runtime.txt is deprecated.\n\
         Remove it, and write the version into a file .python-version instead:\n\n    {}.{}\n\n\
         Without a patch number, the app gets the newest release with its security fixes.",
        version.major, version.minor
    )
}

pub(super) fn missing_runtime(name: &str) -> BuildError {
    app(
        format!("{name} is not mounted"),
        format!(
            "{name} is not mounted into this build. If a buildpack before this one makes the app's Python files,\n\
             commit them instead: what is mounted is decided before the first buildpack runs."
        ),
    )
}

pub(super) fn wrong_runtime(requirement: &str, version: &str) -> BuildError {
    app(
        format!("Python {version} is not the Python {requirement} the app asks for"),
        format!(
            "Python {version} is mounted, which is not the Python {requirement} the app asks for.\n\n\
             Did a hook or an earlier buildpack change the version file? What is mounted is decided before they run."
        ),
    )
}

pub(super) fn install(command: &str) -> BuildError {
    let hint = if command.starts_with("uv") {
        "- If uv says that the lockfile needs to be updated: run `uv lock`, commit uv.lock and push again.\n\
         - Try it in a fresh clone: `uv sync --locked --no-default-groups`."
    } else {
        "- Try it in a fresh clone: `python -m venv .venv && .venv/bin/pip install -r requirements.txt`.\n\
         - If a version was not found: it may not exist for this Python, or be misspelt."
    };
    app(
        format!("'{command}' failed"),
        format!(
            "'{command}' failed; its output stands above.\n\n\
             What to try:\n{hint}\n\
             - If a package was being compiled: choose a version of it that has a wheel for this Python. The Python that a\n  \
               platform without access to the internet uses has no headers to compile against.\n\
             - If a private index or repository is involved: set its address or token as a config var.\n\
             - If an old cache may be to blame: `heroku builds:cache:purge` and push again."
        ),
    )
}

pub(super) fn hook(name: &str) -> BuildError {
    app(
        format!("{name} failed"),
        format!(
            "The app's hook {name} failed; its output stands above.\n\n\
             It is run in the app's folder with the config vars in its environment. Correct it, or remove the file."
        ),
    )
}

pub(super) fn collectstatic() -> BuildError {
    app(
        "collecting Django's static files failed".to_owned(),
        "Collecting Django's static files failed; its output stands above.\n\n\
         What to try:\n\
         - Run it locally: `python manage.py collectstatic --noinput`.\n\
         - Does settings.py read a variable that is not set during the build? Set it as a config var, or give a default.\n\
         - Is STATIC_ROOT set? Add-ons' services may not be reachable yet.\n\
         - To see more of the build's environment: `heroku config:set DEBUG_COLLECTSTATIC=1`\n\
         - If the app has no static files to collect: `heroku config:set DISABLE_COLLECTSTATIC=1`"
            .to_owned(),
    )
}
