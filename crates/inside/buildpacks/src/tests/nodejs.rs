//! The Node.js buildpack with the host's node and npm in place of the shared runtimes.

use inside_contract::BuildReport;

use super::Bench;

const SERVER: &str = "require('http').createServer((q, r) => r.end('hi')).listen(process.env.PORT)";

/// The output without what differs between hosts.
fn golden(bench: &Bench, output: &str) -> String {
    let mut output = output.to_owned();
    for runtime in &bench.request.runtimes {
        output = output.replace(&runtime.version, &format!("{}-VERSION", runtime.name));
    }
    output.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

#[test]
fn an_app_without_dependencies_never_starts_npm() {
    let mut bench = Bench::new();
    bench.mount_node();
    let manifest = r#"{"name": "hello", "engines": {"node": ">=18"}, "scripts": {"start": "node index.js"}}"#;
    let built = bench.build(&[("package.json", manifest), ("index.js", SERVER), ("Procfile", "web: node index.js\n")]);
    let compiled = built.compiled();
    assert_eq!(golden(&bench, &built.output), include_str!("golden/nodejs-fast.txt"));
    assert_eq!((compiled.language.as_str(), compiled.runtimes.len()), ("Node.js", 2));
    assert_eq!(compiled.detected, ["heroku/nodejs"]);
    assert!(!compiled.cache_written);
    assert!(!built.slug.join(".heroku").exists(), "runtimes are no part of the slug");
    let profile = built.file(".profile.d/nodejs.sh");
    assert!(profile.contains("WEB_CONCURRENCY"));
}

#[test]
fn an_npm_in_a_runtime_of_its_own_is_linked_into_the_slug() {
    let mut bench = Bench::new();
    bench.mount_node();
    let runtimes = bench.layout.runtimes();
    std::fs::create_dir_all(runtimes.join("npm/lib")).unwrap();
    std::fs::rename(runtimes.join("node/lib/node_modules"), runtimes.join("npm/lib/node_modules")).unwrap();
    std::fs::remove_file(runtimes.join("node/bin/npm")).unwrap();
    let manifest = r#"{"scripts": {"build": "npm --version > npm-version"}}"#;
    let built = bench.build(&[("package.json", manifest), ("Procfile", "web: x")]);
    assert_eq!(built.file("npm-version").trim(), bench.request.runtimes[1].version);
    assert!(built.slug.join(".heroku/bin/npm").is_symlink());
}

#[test]
fn the_profile_gives_heroku_s_variables() {
    let mut bench = Bench::new();
    bench.mount_node();
    let built = bench.build(&[("package.json", "{}"), ("server.js", SERVER)]);
    assert_eq!(built.compiled().process_types["web"], "npm start");
    let script = "cd \"$1\"; HOME=$1; unset NODE_ENV; MEMORY_AVAILABLE=1024; . .profile.d/nodejs.sh; \
        echo \"$NODE_ENV $WEB_MEMORY $WEB_CONCURRENCY\"; echo \"$PATH\"";
    let slug = built.slug.display().to_string();
    let said = super::command("bash", &["-euc", script, "x", &slug]);
    assert!(said.starts_with("production 512 2\n"), "{said}");
    assert!(said.contains(&format!("{slug}/.heroku/node/bin:")) && said.contains(&format!("{slug}/node_modules/.bin")));
}

#[test]
fn scripts_run_in_heroku_s_order_and_see_the_config_vars() {
    let mut bench = Bench::new();
    bench.mount_node();
    bench.request.config_vars.insert("WORD".to_owned(), "from config".to_owned());
    let manifest = r#"{"scripts": {
        "heroku-prebuild": "echo prebuild >> order", "postinstall": "echo postinstall >> order",
        "build": "echo never >> order", "heroku-postbuild": "echo postbuild \"$WORD\" $NODE_ENV >> order",
        "heroku-cleanup": "echo cleanup >> order"}}"#;
    let built = bench.build(&[("package.json", manifest), ("Procfile", "web: x")]);
    built.compiled();
    assert_eq!(built.file("order"), "prebuild\npostinstall\npostbuild from config production\ncleanup\n");
}

#[test]
fn failures_say_what_happened_and_what_to_try() {
    let mut bench = Bench::new();
    bench.mount_node();
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[("package.json", "{ not json")], "unable to parse package.json"),
        (&[("package.json", "{}"), ("yarn.lock", "")], "yarn is not built in yet"),
        (&[("package.json", "{}"), ("yarn.lock", ""), ("package-lock.json", "{}")], "two different lockfiles found"),
        (&[("package.json", r#"{"engines": {"node": "new one!"}}"#)], "is no version requirement"),
        (&[("package.json", r#"{"scripts": {"build": "exit 3"}}"#)], "the script \"build\" of package.json failed"),
    ];
    let mut texts = String::new();
    for (files, message) in cases {
        let built = bench.build(files);
        assert!(built.failed().contains(message), "{}: {message}", built.failed());
        let BuildReport::Failed { language, .. } = &built.report else { panic!() };
        assert_eq!(language.as_deref(), Some("Node.js"), "for `failed to compile Node.js app`");
        let (_, explained) = built.output.split_once("\n\n !     ").unwrap();
        texts.extend([message, "\n !     ", explained, "\n"]);
    }
    assert_eq!(golden(&bench, &texts), include_str!("golden/nodejs-failures.txt"));
}

#[test]
fn a_runtime_of_another_version_is_asked_for_again() {
    let mut bench = Bench::new();
    bench.mount_node();
    let asked = |engines: &str| {
        let manifest = format!(r#"{{"engines": {engines}}}"#);
        match bench.build(&[("package.json", &manifest), ("Procfile", "web: x")]).report {
            BuildReport::NeedsRuntimes { runtimes } => runtimes.into_iter().map(|wish| wish.name).collect(),
            _ => Vec::new(),
        }
    };
    assert_eq!(asked(r#"{"node": "4.x"}"#), ["node", "npm"], "another Node brings another npm along");
    assert_eq!(asked(r#"{"npm": "1.x"}"#), ["npm"]);
    assert!(asked(r#"{"node": "lts/*", "npm": "latest"}"#).is_empty());
    assert!(asked(r#"{"node": ">=4"}"#).is_empty());
}
