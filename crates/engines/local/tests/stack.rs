//! A small stack, built for real from the packages' mirror. Needs root.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Instant;

use engine::Variant;
use local::images::{Images, ImagesConfig};
use local::stack::{Error, StackBuild, build};

fn lists(folder: &Path, run: &str, build: &str) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../stacks/debian-13");
    fs::create_dir_all(folder).unwrap();
    for script in ["customize.sh", "install-build.sh"] {
        fs::copy(shipped.join(script), folder.join(script)).unwrap();
    }
    fs::write(folder.join("run.txt"), run).unwrap();
    fs::write(folder.join("build.txt"), build).unwrap();
}

fn plan(folder: &Path) -> StackBuild {
    StackBuild {
        name: "small".to_owned(),
        lists: folder.join("lists"),
        cache: folder.join("cache"),
        output: folder.join("stacks"),
        suite: "trixie".to_owned(),
        mirror: None,
        ca_bundle: "/etc/ssl/certs/ca-certificates.crt".into(),
    }
}

#[tokio::test]
async fn a_stack_is_built_once_and_then_taken_from_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    lists(&plan.lists, "ca-certificates\nlocales\n", "make # the smallest\n");
    let mut lines = vec![];
    build(&plan, &mut |line| lines.push(line.to_owned())).unwrap();
    assert_eq!(lines.len(), 5, "{lines:?}");

    let mounts = folder.path().join("mounts");
    let config = ImagesConfig {
        folder: folder.path().join("images"),
        stacks: plan.output.clone(),
        mounts: mounts.clone(),
        packer_uid: 64_999,
        packer: vec![],
        mksquashfs: "/usr/bin/mksquashfs".into(),
    };
    let images = Images::open(&config).unwrap();
    assert_eq!(images.stacks()[0].name, "small");
    let layers = images.stack("small", Variant::Build).unwrap();
    let (delta, run) = (&layers[0], &layers[1]);
    assert!(delta.join("usr/bin/make").exists() && !run.join("usr/bin/make").exists());
    assert!(run.join("usr/bin/bash").exists() && !delta.join("usr/bin/bash").exists());
    check_run_image(run);
    assert!(!delta.join("usr/sbin/policy-rc.d").exists() && !delta.join("var/lib/apt/lists/partial").exists());
    for mount in fs::read_dir(&mounts).unwrap() {
        rustix::mount::unmount(mount.unwrap().path(), rustix::mount::UnmountFlags::DETACH).unwrap();
    }
    rustix::mount::unmount(&mounts, rustix::mount::UnmountFlags::DETACH).unwrap();

    let began = Instant::now();
    build(&plan, &mut |_| {}).unwrap();
    assert!(began.elapsed().as_secs() < 2, "from the cache");
    let left: Vec<_> = fs::read_dir(&plan.cache).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

fn check_run_image(run: &Path) {
    let user = fs::read_to_string(run.join("etc/passwd")).unwrap();
    assert!(user.contains("app:x:1000:1000::/app:/bin/bash"), "{user}");
    for (place, owner) in [("app", 1000), ("cache", 1000), (".slipway", 0)] {
        assert_eq!(fs::metadata(run.join(place)).unwrap().uid(), owner, "{place}");
    }
    for place in ["etc/resolv.conf", "etc/hosts"] {
        assert!(fs::symlink_metadata(run.join(place)).unwrap().is_file(), "{place} can be bound over");
    }
    let ours = fs::read("/etc/ssl/certs/ca-certificates.crt").unwrap();
    assert_eq!(fs::read(run.join("etc/ssl/certs/ca-certificates.crt")).unwrap(), ours);
    assert!(run.join("usr/lib/locale/locale-archive").exists(), "en_US.UTF-8");
    for program in ["usr/bin/su", "usr/bin/mount", "usr/bin/passwd"] {
        assert_eq!(fs::metadata(run.join(program)).unwrap().permissions().mode() & 0o6000, 0, "{program}");
    }
}

#[test]
fn a_package_that_does_not_exist_is_told_with_mmdebstraps_words() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    lists(&plan.lists, "no-such-package-anywhere\n", "make\n");
    let error = build(&plan, &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Program { program: "mmdebstrap", .. }), "{error}");
    assert!(!plan.output.join("small").exists());
    assert_eq!(fs::read_dir(&plan.cache).unwrap().count(), 0, "nothing is left");
}
