//! The apps under `examples/`, built as they are.

use std::fs;
use std::path::{Path, PathBuf};

use inside_contract::{BuildpackRef, Runtime};

use super::{Bench, command, commit};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples").join(name).canonicalize().unwrap()
}

/// As git would archive it: without what an installation on this host left.
fn source(name: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all("", example(name)).unwrap();
    tar.into_inner().unwrap()
}

/// A copy of an example buildpack as a repository of its own.
fn buildpack(bench: &Bench, name: &str) -> BuildpackRef {
    let folder = bench.folder.path().join("buildpacks").join(name);
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    command("cp", &["-r", example("buildpacks").join(name).to_str().unwrap(), folder.to_str().unwrap()]);
    commit(&folder);
    BuildpackRef::Git(format!("file://{}", folder.display()))
}

#[test]
fn two_buildpacks_share_environment_cache_and_slug() {
    let mut bench = Bench::new();
    bench.request.config_vars.insert("GREETER_NAME".to_owned(), "Ada".to_owned());
    bench.request.buildpacks = vec![buildpack(&bench, "greeter"), buildpack(&bench, "exporter")];
    let built = bench.build_tar(&source("two-buildpacks"));
    let compiled = built.compiled();
    assert_eq!(built.file("built.txt"), "Welcome, Ada\nexported=Ada\n");
    assert!(built.file(".profile.d/greeter.sh").contains("GREETER"));
    assert_eq!(compiled.process_types["console"], "bash");
    assert_eq!(compiled.process_types["web"], "perl server.pl");
    assert_eq!(compiled.config_vars["GREETER_STYLE"], "polite");
    assert!(built.output.contains("-----> Greeting Ada (build 1 on heroku-24)\n"), "{}", built.output);
    let again = bench.build_tar(&source("two-buildpacks"));
    assert!(again.output.contains("(build 2 on heroku-24)\n"), "{}", again.output);
}

#[test]
fn apps_without_a_language() {
    for name in ["perl", "release-phase", "stubborn"] {
        let built = Bench::new().build_tar(&source(name));
        assert!(built.compiled().process_types.contains_key("web"), "{name}");
    }
}

#[test]
fn the_static_site_needs_the_file_server_alone() {
    let mut bench = Bench::new();
    bench.request.runtimes = vec![Runtime { name: "static".to_owned(), version: "1".to_owned() }];
    let built = bench.build_tar(&source("static-site"));
    let compiled = built.compiled();
    assert_eq!(compiled.process_types["web"], "/app/.heroku/static/bin/static");
    assert_eq!(compiled.detected, ["heroku/static"]);
    assert!(built.output.contains("Default types for buildpack -> web\n"), "{}", built.output);
}

/// The one test that talks to a package registry: the one this host's npm is set to.
#[test]
fn express_is_installed_once_and_restored_then() {
    let mut bench = Bench::new();
    bench.mount_node();
    let registry = command("npm", &["config", "get", "registry"]);
    bench.request.sources.insert("npm".to_owned(), registry);
    let first = bench.build_tar(&source("express"));
    let compiled = first.compiled();
    assert!(first.output.contains("       Installing node modules (package-lock.json)\n"), "{}", first.output);
    assert!(first.output.contains("Built."), "{}", first.output);
    assert!(compiled.cache_written);
    assert!(first.slug.join("node_modules/express/package.json").is_file());
    assert!(!first.slug.join("node_modules/picocolors").exists(), "development dependencies are pruned");
    let second = bench.build_tar(&source("express"));
    second.compiled();
    let restored = "Using node_modules of the last build (lockfile unchanged)\n";
    assert!(second.output.contains(restored), "{}", second.output);
    assert!(second.output.contains("Using pruned node_modules of the last build"), "{}", second.output);
    assert!(!second.compiled().cache_written, "nothing changed");
    assert!(second.slug.join("node_modules/express/package.json").is_file());
    assert!(!second.slug.join("node_modules/picocolors").exists());
}
