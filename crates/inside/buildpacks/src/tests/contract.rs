//! Row by row: what a classic buildpack is given and what is made of what it does.

use std::fs;

use inside_contract::{BuildReport, BuildpackRef, RuntimeWish};

use super::{Bench, command, open};

const ANY: (&str, &str) = ("detect", "echo Any");

#[test]
fn the_environment_is_the_contract_and_nothing_else() {
    let mut bench = Bench::new();
    bench.request.config_vars.insert("SECRET".to_owned(), "two\nlines\n".to_owned());
    bench.request.config_vars.insert("EMPTY".to_owned(), String::new());
    let script = "pwd > cwd; env > environment; id -u >/dev/null\n\
        [ \"$PWD\" = \"$1\" ]; [ -d \"$2\" ]; cp \"$3/SECRET\" secret; wc -c < \"$3/EMPTY\" > empty; ls \"$3\" > names\n\
        cat > stdin; echo out; echo err >&2";
    bench.request.buildpacks = vec![bench.buildpack("one", &[ANY, ("compile", script)])];
    let built = bench.build(&[("a", "")]);
    built.compiled();
    assert_eq!(built.file("secret"), "two\nlines\n");
    assert_eq!(built.file("empty").trim(), "0");
    assert_eq!(built.file("names"), "EMPTY\nSECRET\n");
    assert_eq!(built.file("stdin"), "");
    assert!(built.file("cwd").contains("/work/build_"));
    let environment = built.file("environment");
    for expected in
        ["STACK=heroku-24", "SOURCE_VERSION=abc123", "REQUEST_ID=11111111-2222", "CURL_CONNECT_TIMEOUT=30", "HOME="]
    {
        assert!(environment.lines().any(|line| line.starts_with(expected)), "{expected} in {environment}");
    }
    for absent in ["SECRET=", "GIT_DIR=", "CARGO", "USER="] {
        assert!(!environment.lines().any(|line| line.starts_with(absent)), "{absent} in {environment}");
    }
    assert!(built.output.contains("out\nerr\n"), "{}", built.output);
}

#[test]
fn the_export_of_one_is_the_environment_of_the_next() {
    let mut bench = Bench::new();
    let first =
        "echo 'export GREETING=\"a b\" PATH=/first:$PATH; echo noise' > \"$(dirname \"$0\")/../export\"; : > one";
    let second = "[ -f one ]; echo \"$GREETING\" > greeting; echo \"$PATH\" > path";
    bench.request.buildpacks = vec![
        bench.buildpack(
            "first",
            &[("detect", "echo First"), ("compile", first), ("release", "echo 'config_vars: {A: b}'")],
        ),
        bench.buildpack(
            "second",
            &[
                ("detect", "echo Second; echo more"),
                ("compile", second),
                ("release", "echo 'default_process_types: {web: run it}'"),
            ],
        ),
    ];
    let built = bench.build(&[("a", "")]);
    let compiled = built.compiled();
    assert_eq!(built.file("greeting"), "a b\n");
    assert!(built.file("path").starts_with("/first:"));
    assert_eq!(compiled.language, "Second");
    assert_eq!(compiled.process_types["web"], "run it");
    assert_eq!(compiled.config_vars["A"], "b");
    assert_eq!(compiled.buildpacks.len(), 2);
    assert!(compiled.detected.is_empty());
    assert!(built.output.contains("-----> First app detected\n"), "{}", built.output);
    assert!(built.output.contains("-----> Using buildpacks:\n       1. file://"), "{}", built.output);
}

#[test]
fn an_explicit_buildpack_that_does_not_detect_stops_the_build() {
    let mut bench = Bench::new();
    let programs = [("detect", "echo because >&2; exit 1"), ("compile", "echo never")];
    bench.request.buildpacks = vec![bench.buildpack("no", &programs)];
    let built = bench.build(&[("a", "")]);
    assert!(built.failed().starts_with("the app is not compatible with the buildpack"));
    assert!(built.output.contains("because\n") && !built.output.contains("never"), "{}", built.output);
    assert!(built.output.contains(" !     Application not supported by"), "{}", built.output);
}

#[test]
fn a_failed_compile_fails_the_build_after_bin_report() {
    let mut bench = Bench::new();
    let marker = bench.folder.path().join("reported").display().to_string();
    let report = format!("echo '{{}}'; : > {marker}");
    bench.request.buildpacks =
        vec![bench.buildpack("bad", &[ANY, ("compile", "echo ' !     Reason'; exit 3"), ("report", &report)])];
    let built = bench.build(&[("a", "")]);
    let BuildReport::Failed { language, message } = &built.report else { panic!("{:?}", built.report) };
    assert_eq!(language.as_deref(), Some("Any"));
    assert!(message.starts_with("bin/compile of the buildpack file://"), "{message}");
    assert!(fs::exists(marker).unwrap());
}

#[test]
fn a_failing_or_printing_report_changes_nothing() {
    let mut bench = Bench::new();
    bench.request.buildpacks = vec![bench.buildpack("odd", &[ANY, ("compile", ":"), ("report", "echo noise; exit 9")])];
    let built = bench.build(&[("a", "")]);
    built.compiled();
    assert!(!built.output.contains("noise"));
}

#[test]
fn the_cache_is_kept_and_written_only_if_it_changed() {
    let mut bench = Bench::new();
    bench.request.buildpacks =
        vec![bench.buildpack("cache", &[ANY, ("compile", "[ -f \"$2/x\" ] && touch hit || echo 1 > \"$2/x\"")])];
    let first = bench.build(&[("a", "")]);
    assert!(first.compiled().cache_written);
    let mut names = Vec::new();
    for entry in tar::Archive::new(first.cache.as_slice()).entries().unwrap() {
        names.push(entry.unwrap().path().unwrap().display().to_string());
    }
    assert_eq!(names, ["x"]);
    let second = bench.build(&[("a", "")]);
    assert!(!second.compiled().cache_written);
    assert!(second.cache.is_empty());
    assert_eq!(second.file("hit"), "");
}

#[test]
fn a_buildpack_at_a_commit_a_tag_and_in_an_archive() {
    let mut bench = Bench::new();
    let BuildpackRef::Git(url) = bench.buildpack("refs", &[ANY, ("compile", "echo old > which")]) else { panic!() };
    let folder = bench.folder.path().join("buildpacks/refs").display().to_string();
    let old = command("git", &["-C", &folder, "rev-parse", "HEAD"]);
    command("git", &["-C", &folder, "tag", "v1"]);
    bench.buildpack("refs", &[ANY, ("compile", "echo new > which")]);
    let archive = bench.folder.path().join("refs.tgz").display().to_string();
    command("git", &["-C", &folder, "archive", "--format=tgz", "--prefix=top/", "-o", &archive, "HEAD"]);
    for (reference, expected) in [
        (BuildpackRef::Git(url.clone()), "new\n"),
        (BuildpackRef::Git(format!("{url}#v1")), "old\n"),
        (BuildpackRef::Git(format!("{url}#{old}")), "old\n"),
        (BuildpackRef::Git(format!("{url}#main")), "new\n"),
        (BuildpackRef::Tarball(format!("file://{archive}")), "new\n"),
    ] {
        bench.request.buildpacks = vec![reference.clone()];
        let built = bench.build(&[("a", "")]);
        built.compiled();
        assert_eq!(built.file("which"), expected, "{reference:?}");
        assert!(built.output.contains(" buildpack... done\n"), "{}", built.output);
    }
}

#[test]
fn what_cannot_be_fetched_is_explained() {
    let mut bench = Bench::new();
    for reference in [
        BuildpackRef::Git("file:///nowhere/at/all".to_owned()),
        BuildpackRef::Git("https://example.invalid/x".to_owned()),
        BuildpackRef::Git("ext::sh -c true".to_owned()),
        BuildpackRef::Git("--upload-pack=true".to_owned()),
        BuildpackRef::Git("file:///x#--upload-pack=true".to_owned()),
        BuildpackRef::Tarball("https://example.invalid/x.tgz".to_owned()),
    ] {
        bench.request.buildpacks = vec![reference.clone()];
        let built = bench.build(&[("a", "")]);
        assert!(built.failed().starts_with("fetching the buildpack"), "{reference:?}");
        assert!(built.output.contains(" !     The buildpack could not be fetched."), "{}", built.output);
    }
}

#[test]
fn nothing_detected_and_languages_not_built_in() {
    let bench = Bench::new();
    let built = bench.build(&[("readme", "")]);
    assert_eq!(built.failed(), "no default language could be detected for this app");
    let expected = "-----> Building on the Heroku-24 stack\n-----> Determining which buildpack to use for this app\n\n \
        !     No default language could be detected for this app.\n";
    assert!(built.output.starts_with(expected), "{}", built.output);
    let built = bench.build(&[("go.mod", "")]);
    let BuildReport::Failed { language, message } = &built.report else { panic!() };
    assert_eq!((language.as_deref(), message.as_str()), (Some("Go"), "Go has no built-in buildpack yet"));
    assert!(built.output.contains("https://github.com/heroku/heroku-buildpack-go"), "{}", built.output);
}

#[test]
fn a_bare_procfile_needs_no_language() {
    let bench = Bench::new();
    let built = bench.build(&[("Procfile", "web: perl server.pl\nworker: sleep 1\n"), ("server.pl", "")]);
    let compiled = built.compiled();
    assert_eq!(compiled.detected, ["heroku/procfile"]);
    assert_eq!(compiled.process_types.len(), 2);
    let expected = "-----> Building on the Heroku-24 stack\n-----> Determining which buildpack to use for this app\n\
        -----> Procfile app detected\n-----> Discovering process types\n       \
        Procfile declares types     -> web, worker\n-----> Compressing...\n";
    assert_eq!(built.output, expected);
}

#[test]
fn a_nonsense_procfile_fails_with_its_line() {
    let built = Bench::new().build(&[("Procfile", "web: x\nhello\n")]);
    assert_eq!(built.failed(), "line 2 of the Procfile is not of the form `type: command`: \"hello\"");
    assert!(built.output.contains(" !     Line 2 of the Procfile is not of the form"), "{}", built.output);
}

#[test]
fn a_missing_runtime_is_asked_for_before_anything_is_printed() {
    let bench = Bench::new();
    let built = bench.build(&[("package.json", r#"{"engines": {"node": "22.x"}}"#)]);
    let BuildReport::NeedsRuntimes { runtimes } = &built.report else { panic!("{:?}", built.report) };
    let wish =
        |name: &str, requirement: &str| RuntimeWish { name: name.to_owned(), requirement: requirement.to_owned() };
    assert_eq!(runtimes, &[wish("node", "22.x"), wish("npm", "")]);
    assert_eq!(built.output, "");
    let built = bench.build(&[("index.html", "")]);
    let BuildReport::NeedsRuntimes { runtimes } = &built.report else { panic!("{:?}", built.report) };
    assert_eq!(runtimes, &[wish("static", "")]);
}

#[test]
fn slugignore_works_before_the_buildpacks_and_git_stays_out() {
    let bench = Bench::new();
    let files = [("Procfile", "web: x"), (".slugignore", "*.psd\n"), ("a.psd", ""), (".git/HEAD", ""), ("run*", "x")];
    let built = bench.build(&files);
    built.compiled();
    assert!(built.output.contains("-----> Deleting 1 files matching .slugignore patterns.\n"), "{}", built.output);
    assert!(!built.slug.join("a.psd").exists() && !built.slug.join(".git").exists());
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&open(&built.slug.join("run")).metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn the_second_build_on_the_same_volumes_starts_clean() {
    let bench = Bench::new();
    bench.build(&[("Procfile", "web: x"), ("old", "")]).compiled();
    let built = bench.build(&[("Procfile", "web: x")]);
    assert!(!built.slug.join("old").exists());
}
