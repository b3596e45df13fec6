//! The program itself, with the descriptors of the contract and from the command line.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use inside_contract::BuildReport;
use sha2::{Digest as _, Sha256};

const PROGRAM: &str = env!("CARGO_BIN_EXE_buildpacks");

/// Runs a build of a site of one file. It ends before it needs `/app` or `/cache`: a runtime is missing.
fn build(folder: &Path, request_id: &str) -> Output {
    let mut tar = tar::Builder::new(fs::File::create(folder.join("source")).unwrap());
    tar.append_data(&mut header(), "index.html", &b"x"[..]).unwrap();
    tar.into_inner().unwrap();
    let request = serde_json::json!({
        "stack": "heroku-24", "source_version": null, "request_id": request_id, "config_vars": {}, "buildpacks": [],
        "runtimes": [], "sources": {}, "strip_top_folder": false,
    });
    fs::write(folder.join("request"), request.to_string()).unwrap();
    let script = "exec \"$0\" build <source 4>report 5<request 6>slug 7>cache";
    Command::new("bash").args(["-c", script, PROGRAM]).current_dir(folder).output().unwrap()
}

fn header() -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(1);
    header
}

#[test]
fn a_build_takes_its_descriptors_and_reports() {
    let folder = tempfile::tempdir().unwrap();
    let request_id = folder.path().display().to_string();
    let output = build(folder.path(), &request_id);
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "nothing is printed before the runtimes are there");
    let report = serde_json::from_slice(&fs::read(folder.path().join("report")).unwrap()).unwrap();
    let BuildReport::NeedsRuntimes { runtimes } = report else { panic!("{report:?}") };
    assert_eq!(runtimes[0].name, "static");
    assert_eq!(fs::metadata(folder.path().join("slug")).unwrap().len(), 0);
    let digest = Sha256::digest(&request_id);
    let id = format!("{:08x}", u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]));
    for name in ["build", "env"] {
        fs::remove_dir_all(format!("/tmp/{name}_{id}")).unwrap();
    }
}

#[test]
fn without_its_descriptors_it_says_so() {
    let output = Command::new(PROGRAM).arg("build").output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().starts_with(" !     The build could not be started"));
}

#[test]
fn built_in_buildpacks_are_programs_of_the_classic_contract() {
    let folder = tempfile::tempdir().unwrap();
    let call = |words: &[&str]| Command::new(PROGRAM).args(words).arg(folder.path()).output().unwrap();
    assert!(!call(&["nodejs", "detect"]).status.success());
    fs::write(folder.path().join("package.json"), r#"{"scripts": {"start": "node x"}}"#).unwrap();
    assert_eq!(call(&["nodejs", "detect"]).stdout, b"Node.js\n");
    assert_eq!(call(&["heroku/nodejs", "release"]).stdout, b"{\"default_process_types\":{\"web\":\"npm start\"}}\n");
    assert!(!call(&["nodejs", "dance"]).status.success());
    assert!(!call(&["cobol", "detect"]).status.success());
}
