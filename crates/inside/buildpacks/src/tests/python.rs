//! The Python buildpack with a runtime made of the host's own Python, as the platform makes one of the stack's.

use std::fs;
use std::path::Path;

use inside_contract::{BuildReport, PythonVersion, Runtime};

use super::{Bench, Built, command};

/// Python's own first module, so that nothing is fetched.
const APP: [(&str, &str); 2] = [("app.py", "print('hi')\n"), ("Procfile", "web: python app.py\n")];

/// Mounts the host's Python and pip as the shared runtimes; gives the version.
fn mount(bench: &mut Bench) -> PythonVersion {
    let runtimes = bench.layout.runtimes();
    let version = crate::stack_runtime::python_version().unwrap();
    let mut tar = Vec::new();
    crate::stack_runtime::python(Path::new("/"), version, &mut tar).unwrap();
    tar::Archive::new(tar.as_slice()).unpack(runtimes.join("python")).unwrap();
    crate::tree::copy(&runtimes.join("python"), &bench.folder.path().join("python")).unwrap();
    let pip = command("python3", &["-c", "import pip; print(pip.__path__[0])"]);
    fs::create_dir_all(runtimes.join("pip/lib")).unwrap();
    std::os::unix::fs::symlink(pip, runtimes.join("pip/lib/pip")).unwrap();
    bench.request.runtimes = vec![
        Runtime { name: "python".to_owned(), version: version.to_string() },
        Runtime { name: "pip".to_owned(), version: "1".to_owned() },
    ];
    version
}

fn build(bench: &Bench, files: &[(&str, &str)]) -> Built {
    // Each build has an instance of its own, in which Python is as it was packed.
    let python = bench.layout.runtimes().join("python");
    fs::remove_dir_all(&python).unwrap();
    crate::tree::copy(&bench.folder.path().join("python"), &python).unwrap();
    bench.build(&[&APP[..], files].concat())
}

fn golden(version: PythonVersion, output: &str) -> String {
    let output = output.replace(&version.to_string(), "PYTHON-VERSION");
    output.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// Runs a command in the slug's Python as a dyno sees it: the slug over the runtime.
fn in_dyno(bench: &Bench, built: &Built, script: &str) -> String {
    let merged = bench.folder.path().join("merged");
    fs::remove_dir_all(&merged).ok();
    crate::tree::copy(&bench.folder.path().join("python"), &merged.join(".heroku/python")).unwrap();
    command("cp", &["-r", &format!("{}/.", built.slug.display()), merged.to_str().unwrap()]);
    let script = format!("cd \"$1\"; export HOME=$1; . .profile.d/python.sh; {script}");
    command("env", &["-i", "PATH=/usr/bin:/bin", "bash", "-euc", &script, "x", merged.to_str().unwrap()])
}

#[test]
fn an_app_without_packages_is_python_and_its_files() {
    let mut bench = Bench::new();
    let version = mount(&mut bench);
    let asked = format!("{}.{}\n", version.major, version.minor);
    let built = build(&bench, &[("requirements.txt", ""), (".python-version", &asked)]);
    let compiled = built.compiled();
    assert_eq!(golden(version, &built.output), include_str!("golden/python-fast.txt"));
    assert_eq!((compiled.language.as_str(), compiled.runtimes.len()), ("Python", 2));
    assert_eq!(compiled.detected, ["heroku/python"]);
    assert!(!built.slug.join(".heroku/python/bin").exists(), "the runtime is no part of the slug");
    assert_eq!(in_dyno(&bench, &built, "python --version"), format!("Python {version}"));
}

#[test]
fn a_package_of_the_app_is_installed_restored_and_replaced() {
    let mut bench = Bench::new();
    mount(&mut bench);
    // A wheel by hand: a package with a program, without a build tool that would have to be fetched.
    let wheels = bench.folder.path().join("wheels");
    fs::create_dir(&wheels).unwrap();
    for version in ["1.0", "2.0"] {
        wheel(&wheels, version);
    }
    bench.request.config_vars.insert("PIP_FIND_LINKS".to_owned(), wheels.display().to_string());
    bench.request.config_vars.insert("PIP_NO_INDEX".to_owned(), "1".to_owned());
    let first = build(&bench, &[("requirements.txt", "greeter==1.0\n")]);
    assert!(first.output.contains("-----> Saving cache\n"), "{}", first.output);
    assert!(first.compiled().cache_written);
    assert_eq!(in_dyno(&bench, &first, "greet; python -m greeter"), "hello 1.0\nhello 1.0");
    let second = build(&bench, &[("requirements.txt", "greeter==1.0\n")]);
    assert!(
        second.output.contains("Using the packages of the last build (requirements unchanged)"),
        "{}",
        second.output
    );
    assert!(!second.compiled().cache_written, "nothing changed");
    assert_eq!(in_dyno(&bench, &second, "greet"), "hello 1.0");
    let third = build(&bench, &[("requirements.txt", "greeter==2.0\n")]);
    let discarded = "-----> Discarding cache since:\n       - The content of requirements.txt has changed\n";
    assert!(third.output.contains(discarded), "{}", third.output);
    assert_eq!(in_dyno(&bench, &third, "greet"), "hello 2.0");
    bench.request.stack = "heroku-26".to_owned();
    let fourth = build(&bench, &[("requirements.txt", "greeter==2.0\n")]);
    assert!(fourth.output.contains("- The stack has changed from heroku-24 to heroku-26\n"), "{}", fourth.output);
    bench.request.config_vars.insert("PIP_NO_INDEX".to_owned(), "true".to_owned());
    let fifth = build(&bench, &[("requirements.txt", "greeter==2.0\n")]);
    assert!(fifth.output.contains("- The settings of pip have changed\n"), "{}", fifth.output);
}

/// Writes `greeter-VERSION-py3-none-any.whl` with a module and a program.
fn wheel(folder: &Path, version: &str) {
    let script = format!(
        "import zipfile\n\
         info = 'greeter-{version}.dist-info/'\n\
         with zipfile.ZipFile('{}/greeter-{version}-py3-none-any.whl', 'w') as wheel:\n\
         \x20   def add(name, text): wheel.writestr(name, text)\n\
         \x20   add('greeter/__init__.py', 'def main(): print(\"hello {version}\")\\n')\n\
         \x20   add('greeter/__main__.py', 'from greeter import main; main()\\n')\n\
         \x20   add(info + 'METADATA', 'Metadata-Version: 2.1\\nName: greeter\\nVersion: {version}\\n')\n\
         \x20   add(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
         \x20   add(info + 'entry_points.txt', '[console_scripts]\\ngreet = greeter:main\\n')\n\
         \x20   add(info + 'RECORD', '')\n",
        folder.display()
    );
    command("python3", &["-c", &script]);
}

#[test]
fn hooks_run_in_the_app_with_its_config_vars() {
    let mut bench = Bench::new();
    mount(&mut bench);
    bench.request.config_vars.insert("WORD".to_owned(), "from config".to_owned());
    let built = build(
        &bench,
        &[
            ("requirements.txt", ""),
            ("bin/pre_compile", "#!/bin/sh\necho \"pre $WORD\" > order\n"),
            ("bin/post_compile", "#!/usr/bin/env python\nopen('order', 'a').write('post\\n')\n"),
        ],
    );
    built.compiled();
    assert_eq!(built.file("order"), "pre from config\npost\n");
}

#[test]
fn the_profile_gives_heroku_s_variables() {
    let mut bench = Bench::new();
    mount(&mut bench);
    let built = build(&bench, &[("requirements.txt", "")]);
    let said = in_dyno(
        &bench,
        &built,
        "echo $PYTHONUNBUFFERED ${PYTHONHOME#$HOME} ${PYTHONPATH#$HOME}. $LANG $WEB_CONCURRENCY",
    );
    let words: Vec<&str> = said.split(' ').collect();
    assert_eq!(words[..4], ["true", "/.heroku/python", ".", "en_US.UTF-8"], "{said}");
    assert!(words[4].parse::<u32>().is_ok_and(|count| count >= 1), "{said}");
    let profile = built.slug.join(".profile.d/python.sh").display().to_string();
    let of = |memory: &str| {
        let memory = format!("MEMORY_AVAILABLE={memory}");
        command(
            "env",
            &[
                "-i",
                "PATH=/usr/bin:/bin",
                "HOME=/x",
                &memory,
                "bash",
                "-euc",
                ". \"$1\"; echo $WEB_CONCURRENCY",
                "x",
                &profile,
            ],
        )
    };
    assert_eq!(of("512"), "2");
    assert_eq!(of("100"), "1");
}

#[test]
fn failures_say_what_happened_and_what_to_try() {
    let mut bench = Bench::new();
    let version = mount(&mut bench);
    bench.request.config_vars.insert("PIP_NO_INDEX".to_owned(), "1".to_owned());
    let cases: [(&[(&str, &str)], &str); 12] = [
        (&[], "no file of a package manager found"),
        (&[("pyproject.toml", "")], "no file of a package manager found"),
        (&[("requirements.txt", ""), ("uv.lock", "")], "several package managers' files found"),
        (&[("poetry.lock", "")], "Poetry is not built in yet"),
        (&[("Pipfile", "")], "Pipenv is not built in yet"),
        (&[("requirements.txt", ""), (".python-version", "pypy3.10")], "is no Python version"),
        (&[("requirements.txt", ""), (".python-version", "3.12\n3.13\n")], "several Python versions found"),
        (&[("requirements.txt", ""), (".python-version", "")], "no Python version found"),
        (&[("requirements.txt", ""), (".python-version", "3.8")], "Python 3.8 is no longer supported"),
        (&[("requirements.txt", ""), ("runtime.txt", "3.13")], "in runtime.txt is no Python version"),
        (&[("requirements.txt", ""), ("bin/post_compile", "#!/bin/sh\nexit 3\n")], "bin/post_compile failed"),
        (&[("requirements.txt", "nothing-like-this==1\n")], "'pip install -r requirements.txt' failed"),
    ];
    let mut texts = String::new();
    for (files, message) in cases {
        let built = build(&bench, files);
        assert!(built.failed().contains(message), "{}: {message}", built.failed());
        let BuildReport::Failed { language, .. } = &built.report else { panic!() };
        assert_eq!(language.as_deref(), Some("Python"), "for `failed to compile Python app`: {message}");
        let (_, explained) = built.output.rsplit_once("\n\n !     ").unwrap();
        texts.extend([message, "\n !     ", explained, "\n"]);
    }
    let runtime = format!("python-{version}");
    let warned = build(&bench, &[("requirements.txt", ""), ("runtime.txt", &runtime)]).output;
    let (_, warning) = warned.split_once("-----> Using Python").unwrap();
    texts.push_str(warning.split("----->").next().unwrap());
    let minor = format!("{}.{}", version.major, version.minor);
    assert_eq!(
        golden(version, &texts).replace(&format!(" {minor}\n"), " MINOR\n"),
        include_str!("golden/python-failures.txt")
    );
}

#[test]
fn a_python_of_another_version_is_asked_for_again() {
    let mut bench = Bench::new();
    let version = mount(&mut bench);
    let asked = |text: &str| match build(&bench, &[("requirements.txt", ""), (".python-version", text)]).report {
        BuildReport::NeedsRuntimes { runtimes } => runtimes.into_iter().map(|wish| wish.name).collect(),
        _ => Vec::new(),
    };
    assert_eq!(asked("3.10.99"), ["python"]);
    assert!(asked("3").is_empty());
    assert!(asked(&version.to_string()).is_empty());
    bench.request.runtimes.clear();
    match build(&bench, &[("uv.lock", "")]).report {
        BuildReport::NeedsRuntimes { runtimes } => {
            assert_eq!(runtimes.iter().map(|wish| wish.name.as_str()).collect::<Vec<_>>(), ["python", "uv"]);
        }
        other => panic!("{other:?}"),
    }
}
