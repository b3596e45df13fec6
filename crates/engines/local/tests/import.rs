//! Images of others become stacks: real layers of a system that runs, in every form they come in, and hostile ones.
//! Needs root.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use engine::Variant;
use flate2::Compression;
use flate2::write::GzEncoder;
use local::images::{Images, ImagesConfig};
use local::stack::import::{Error, Imported, InvalidImage, Problem, StackImport, import};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

fn sha256(bytes: &[u8]) -> String {
    vocabulary::Digest::from_bytes(&Sha256::digest(bytes).into()).to_string()
}

/// A tar under construction.
struct Layer(Builder<Vec<u8>>);

impl Layer {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn entry(mut self, kind: EntryType, path: &str, (mode, uid): (u32, u64), link: &str, bytes: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(uid);
        header.set_gid(uid);
        header.set_mtime(1_700_000_000);
        header.set_size(bytes.len() as u64);
        if link.is_empty() {
            self.0.append_data(&mut header, path, bytes).unwrap();
        } else {
            self.0.append_link(&mut header, path, link).unwrap();
        }
        self
    }

    fn file(self, path: &str, bytes: &[u8]) -> Self {
        self.entry(EntryType::Regular, path, (0o644, 0), "", bytes)
    }

    fn symlink(self, path: &str, to: &str) -> Self {
        self.entry(EntryType::Symlink, path, (0o777, 0), to, b"")
    }

    /// A program of this host with all libraries it is linked to.
    fn program(mut self, path: &str) -> Self {
        let listed = Command::new("ldd").arg(path).output().unwrap().stdout;
        let words = String::from_utf8(listed).unwrap();
        let libraries = words.split_whitespace().filter(|word| word.starts_with('/'));
        for file in libraries.chain([path]) {
            let place = file.strip_prefix("/usr").unwrap_or(file).trim_start_matches('/');
            self = self.entry(EntryType::Regular, &format!("usr/{place}"), (0o755, 0), "", &fs::read(file).unwrap());
        }
        self
    }

    fn done(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// A small system that runs: bash and a few programs of this host.
fn system() -> Layer {
    let merged = [("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64"), ("usr/bin/sh", "bash")];
    let mut layer = Layer::new();
    for (path, to) in merged {
        layer = layer.symlink(path, to);
    }
    for program in ["/usr/bin/bash", "/usr/bin/env", "/usr/bin/cat", "/usr/bin/stat"] {
        layer = layer.program(program);
    }
    layer.file("etc/os-release", b"PRETTY_NAME=\"Tiny 1\"\n").file("etc/passwd", b"root:x:0:0::/root:/bin/bash\n")
}

/// What lies over it: removes, replaces, links and hides.
fn second() -> Layer {
    let long = format!("opt/{}/{}", "n".repeat(120), "m".repeat(130));
    Layer::new()
        .file("opt/.wh..wh..opq", b"")
        .file("opt/new", b"new")
        .file("srv/.wh.gone", b"")
        .file("lib/through", b"through a link")
        .entry(EntryType::Link, "etc/again", (0o644, 0), "etc/os-release", b"")
        .entry(EntryType::Regular, "usr/bin/su", (0o4755, 0), "", b"#!/bin/bash\n")
        .entry(EntryType::Regular, "etc/owned", (0o640, 42), "", b"mine")
        .entry(EntryType::Char, "dev/mem", (0o666, 0), "", b"")
        .symlink("etc/resolv.conf", "../run/resolv.conf")
        .symlink("out", "../../../../etc/shadow")
        .file(&long, b"a long name")
}

fn first() -> Layer {
    system().file("opt/old", b"old").file("srv/gone", b"gone").file("srv/kept", b"kept")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An image's documents and blobs, by name.
struct Image {
    files: BTreeMap<String, Vec<u8>>,
}

impl Image {
    /// An OCI layout: for each layer its tar and how it is packed.
    fn oci(layers: &[(&[u8], Vec<u8>)]) -> Self {
        let mut image = Self { files: BTreeMap::new() };
        let described: Vec<Value> = layers
            .iter()
            .map(|(_, packed)| image.blob(packed, "application/vnd.oci.image.layer.v1.tar+gzip"))
            .collect();
        let config = configuration(layers.iter().map(|(tar, _)| *tar));
        let config = image.blob(&config, "application/vnd.oci.image.config.v1+json");
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": described}).to_string();
        let mut manifest = image.blob(manifest.as_bytes(), "application/vnd.oci.image.manifest.v1+json");
        manifest["platform"] = json!({"os": "linux", "architecture": "amd64"});
        let other = json!({"digest": format!("sha256:{}", "0".repeat(64)), "size": 1,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "platform": {"os": "linux", "architecture": "arm64"}});
        let list = json!({"schemaVersion": 2, "manifests": [other, manifest]}).to_string();
        let list = image.blob(list.as_bytes(), "application/vnd.oci.image.index.v1+json");
        image.put("index.json", json!({"schemaVersion": 2, "manifests": [list]}).to_string().as_bytes());
        image.put("oci-layout", br#"{"imageLayoutVersion": "1.0.0"}"#);
        image
    }

    /// What `docker save` wrote before it wrote OCI layouts.
    fn docker(layers: &[&[u8]]) -> Self {
        let mut image = Self { files: BTreeMap::new() };
        let config = configuration(layers.iter().copied());
        let name = format!("{}.json", sha256(&config));
        let paths: Vec<String> = (0..layers.len()).map(|number| format!("layer{number}/layer.tar")).collect();
        for (path, bytes) in paths.iter().zip(layers) {
            image.put(path, bytes);
        }
        image.put(&name, &config);
        let list = json!([{"Config": name, "RepoTags": ["tiny:1"], "Layers": paths}]);
        image.put("manifest.json", list.to_string().as_bytes());
        image
    }

    fn put(&mut self, name: &str, bytes: &[u8]) {
        self.files.insert(name.to_owned(), bytes.to_vec());
    }

    fn blob(&mut self, bytes: &[u8], kind: &str) -> Value {
        let digest = sha256(bytes);
        self.put(&format!("blobs/sha256/{digest}"), bytes);
        json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len()})
    }

    fn folder(&self, at: &Path) -> PathBuf {
        for (name, bytes) in &self.files {
            let path = at.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        at.to_owned()
    }

    fn archive(&self, at: &Path) -> PathBuf {
        let mut tar = Builder::new(File::create(at).unwrap());
        for (name, bytes) in &self.files {
            let mut header = Header::new_gnu();
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, &bytes[..]).unwrap();
        }
        tar.into_inner().unwrap();
        at.to_owned()
    }
}

fn configuration<'a>(layers: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let diff_ids: Vec<String> = layers.map(|tar| format!("sha256:{}", sha256(tar))).collect();
    json!({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin", "STACK=heroku-24"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}})
    .to_string()
    .into_bytes()
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The helpers run without rights and must be able to reach their folder.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("ca.pem"), "the host's certificates\n").unwrap();
        Self(folder)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn plan(&self, name: &str, run: PathBuf) -> StackImport {
        StackImport {
            name: name.to_owned(),
            run,
            build: None,
            origin: "a test".to_owned(),
            buildpacks: None,
            ca_bundle: self.at("ca.pem"),
            stacks: self.at("stacks"),
            replace: false,
            packer_uid: 64_999,
            packer: vec![env!("CARGO_BIN_EXE_engine-child").to_owned(), "packer".to_owned()],
            mksquashfs: "/usr/bin/mksquashfs".into(),
        }
    }

    fn import(&self, name: &str, run: PathBuf) -> Result<Imported, Error> {
        import(&self.plan(name, run), &mut |_| {})
    }

    /// The image store over what was imported.
    fn images(&self) -> Images {
        Images::open(&ImagesConfig {
            folder: self.at("images"),
            stacks: self.at("stacks"),
            mounts: self.at("mounts"),
            packer_uid: 64_999,
            packer: vec![],
            mksquashfs: "/usr/bin/mksquashfs".into(),
        })
        .unwrap()
    }

    /// Nothing but whole stacks is in the folder of stacks.
    fn stacks(&self) -> Vec<String> {
        let entries = fs::read_dir(self.at("stacks")).into_iter().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mounts = self.at("mounts");
        for entry in fs::read_dir(&mounts).into_iter().flatten().flatten() {
            rustix::mount::unmount(entry.path(), rustix::mount::UnmountFlags::DETACH).ok();
        }
        rustix::mount::unmount(&mounts, rustix::mount::UnmountFlags::DETACH).ok();
    }
}

/// The system of the two layers, wherever it came from, with all that was asked of it.
fn check(root: &Path) {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    assert!(!root.join("opt/old").exists() && !root.join("srv/gone").exists(), "hidden by whiteouts");
    assert_eq!((read("opt/new"), read("srv/kept")), ("new".to_owned(), "kept".to_owned()));
    assert_eq!(read("usr/lib/through"), "through a link");
    let (again, release) = (fs::metadata(root.join("etc/again")), fs::metadata(root.join("etc/os-release")));
    assert_eq!(again.unwrap().ino(), release.unwrap().ino(), "a hard link into a lower layer");
    assert_eq!(fs::metadata(root.join("usr/bin/su")).unwrap().permissions().mode() & 0o7777, 0o755);
    let owned = fs::metadata(root.join("etc/owned")).unwrap();
    assert_eq!((owned.uid(), owned.gid(), owned.mode() & 0o777), (42, 42, 0o640));
    assert!(!root.join("dev/mem").exists(), "a device");
    assert_eq!(fs::read_link(root.join("out")).unwrap(), Path::new("../../../../etc/shadow"), "led nowhere");
    assert!(root.join(format!("opt/{}/{}", "n".repeat(120), "m".repeat(130))).is_file());
    for file in ["etc/resolv.conf", "etc/hosts", "etc/hostname"] {
        assert!(fs::symlink_metadata(root.join(file)).unwrap().is_file(), "{file}");
    }
    assert_eq!(read("etc/ssl/certs/ca-certificates.crt"), "the host's certificates\n");
    assert!(read("etc/passwd").ends_with("app:x:1000:1000::/app:/bin/bash\n"), "{}", read("etc/passwd"));
    for (folder, owner) in [("app", 1000), ("cache", 1000), (".slipway", 0), ("var/tmp", 0), ("proc", 0)] {
        assert_eq!(fs::metadata(root.join(folder)).unwrap().uid(), owner, "{folder}");
    }
    // It is a system that runs.
    let told = Command::new("chroot").arg(root).args(["/bin/sh", "-c", "cat /opt/new; stat -c %u /app"]).output();
    let told = told.unwrap();
    assert_eq!(String::from_utf8_lossy(&told.stdout), "new1000\n", "{}", String::from_utf8_lossy(&told.stderr));
}

#[test]
fn an_image_becomes_a_stack_in_every_form_it_comes_in() {
    let place = Place::new();
    let (one, two) = (first().done(), second().done());
    let oci = Image::oci(&[(&one, gzip(&one)), (&two, zstd::encode_all(&two[..], 3).unwrap())]);
    let docker = Image::docker(&[&one, &two]);
    let forms = [
        ("a-folder", oci.folder(&place.at("layout"))),
        ("an-archive", oci.archive(&place.at("oci.tar"))),
        ("docker-1", docker.archive(&place.at("docker.tar"))),
    ];
    for (name, path) in forms {
        let imported = place.import(name, path).unwrap();
        assert_eq!((imported.run.system.as_str(), imported.run.left_out), ("Tiny 1", 1), "{name}");
        assert!(imported.run.lacks.contains(&"gcc".to_owned()) && imported.build.is_none(), "{imported:?}");
        assert_eq!(imported.buildpacks, "heroku-24", "the image says so");
    }
    assert_eq!(place.stacks(), ["a-folder", "an-archive", "docker-1"]);
    let images = place.images();
    let listed: Vec<String> = images.stacks().into_iter().map(|stack| stack.name).collect();
    assert_eq!(listed, ["a-folder", "an-archive", "docker-1"]);
    for name in &listed {
        let run = images.stack(name, Variant::Run).unwrap();
        assert_eq!(images.stack(name, Variant::Build).unwrap(), run, "one image, mounted once");
        check(&run[0]);
    }
}

#[tokio::test]
async fn a_build_image_stands_alone_and_a_stack_is_replaced_and_removed() {
    let place = Place::new();
    let one = first().done();
    let more = Layer::new().file("usr/bin/gcc", b"#!/bin/bash\n").done();
    let run = Image::docker(&[&one]).archive(&place.at("run.tar"));
    let build = Image::docker(&[&one, &more]).archive(&place.at("build.tar"));
    let mut plan = place.plan("heroku-24", run.clone());
    plan.build = Some(build);
    import(&plan, &mut |_| {}).unwrap();
    let images = place.images();
    let (old_run, old_build) =
        (images.stack("heroku-24", Variant::Run).unwrap(), images.stack("heroku-24", Variant::Build).unwrap());
    assert!(old_build[0].join("usr/bin/gcc").exists() && !old_run[0].join("usr/bin/gcc").exists());
    assert!(matches!(place.import("heroku-24", run.clone()), Err(Error::Exists(_))));
    plan.replace = true;
    plan.build = None;
    import(&plan, &mut |_| {}).unwrap();
    let new = images.stack("heroku-24", Variant::Run).unwrap();
    assert_ne!(new, old_run, "running dynos keep the old one");
    assert!(old_run[0].join("usr/bin/bash").exists());
    images.discard(vec![], || [].into()).await.unwrap();
    assert!(!old_run[0].exists() && new[0].join("usr/bin/bash").exists(), "what nothing is installed for goes");
    assert_eq!(place.stacks(), ["heroku-24"], "nothing of the old one is left");
    assert!(images.stack("heroku-22", Variant::Run).is_err(), "nothing stands in for it here");
}

fn problem(result: Result<Imported, Error>) -> Problem {
    match result {
        Err(Error::Contents(_, problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn bytes_that_are_not_those_of_their_digest_are_refused() {
    let place = Place::new();
    let (one, two) = (system().done(), Layer::new().file("etc/x", b"1").done());
    // The same size, other bytes.
    let mut image = Image::oci(&[(&one, one.clone()), (&two, two.clone())]);
    let name = format!("blobs/sha256/{}", sha256(&two));
    image.files.get_mut(&name).unwrap()[512] ^= 1;
    let refused = place.import("one", image.folder(&place.at("one")));
    assert!(matches!(problem(refused), Problem::Digest { number: 2 }));
    // The configuration promises another tar than the layer unpacks to.
    let image = Image::oci(&[(&one, one.clone()), (&two, gzip(&one))]);
    let refused = place.import("two", image.folder(&place.at("two")));
    assert!(matches!(problem(refused), Problem::Digest { number: 2 }));
    // A document.
    let mut image = Image::oci(&[(&one, one.clone())]);
    let config = image.files.iter().find(|(_, bytes)| bytes.starts_with(b"{\"architecture")).unwrap().0.clone();
    image.put(&config, br#"{"architecture":"amd64","os":"linux","rootfs":{"diff_ids":[]}}"#);
    let refused = place.import("three", image.archive(&place.at("three.tar"))).unwrap_err();
    assert!(matches!(&refused, Error::Image(_, InvalidImage::Document(..))), "{refused:?}");
    // Cut short.
    let mut image = Image::docker(&[&one]);
    image.files.get_mut("layer0/layer.tar").unwrap().truncate(2000);
    assert!(matches!(problem(place.import("four", image.archive(&place.at("four.tar")))), Problem::Layer { .. }));
    assert!(place.stacks().is_empty(), "{:?}", place.stacks());
}

#[test]
fn hostile_layers_are_refused_and_leave_nothing() {
    let place = Place::new();
    let one = system().done();
    let bomb = vec![0; 400 << 20];
    let zeros = Layer::new().file("zeros", &bomb).done();
    let escape = {
        let mut header = Header::new_gnu();
        header.set_size(1);
        header.as_old_mut().name[..11].copy_from_slice(b"../../x/../");
        header.as_old_mut().name[11..15].copy_from_slice(b"evil");
        header.set_cksum();
        let mut tar = Builder::new(Vec::new());
        tar.append(&header, &b"x"[..]).unwrap();
        tar.into_inner().unwrap()
    };
    let cases: [(&str, Vec<u8>, Vec<u8>); 4] = [
        ("escape", escape.clone(), escape),
        ("bomb", zeros.clone(), zstd::encode_all(&zeros[..], 3).unwrap()),
        ("link", Layer::new().entry(EntryType::Link, "x", (0o644, 0), "no/where", b"").done(), vec![]),
        ("loop", Layer::new().symlink("a", "b").symlink("b", "a").file("a/x", b"").done(), vec![]),
    ];
    for (name, tar, packed) in cases {
        let packed = if packed.is_empty() { gzip(&tar) } else { packed };
        let image = Image::oci(&[(&one, gzip(&one)), (&tar, packed)]);
        let problem = problem(place.import(name, image.folder(&place.at(name))));
        let expected = matches!(problem, Problem::Tree(_) | Problem::Bomb { .. });
        assert!(expected, "{name}: {problem:?}");
    }
    assert!(place.stacks().is_empty(), "{:?}", place.stacks());
    let cut = &gzip(&one)[..1000];
    let image = Image::oci(&[(&one, cut.to_vec())]);
    assert!(matches!(problem(place.import("cut", image.folder(&place.at("cut")))), Problem::Layer { .. }));
}

#[test]
fn what_cannot_be_a_stack_says_why() {
    let place = Place::new();
    let told = |name: &str, layer: Layer| {
        let image = Image::docker(&[&layer.done()]);
        problem(place.import(name, image.archive(&place.at(name)))).to_string()
    };
    let empty = told("nothing", Layer::new().file("hello", b"hello"));
    assert!(empty.contains("no program /bin/bash"), "{empty}");
    let musl = ["bin/bash", "bin/sh", "usr/bin/env"]
        .into_iter()
        .fold(Layer::new(), |layer, path| layer.entry(EntryType::Regular, path, (0o755, 0), "", b"\x7fELF"));
    assert!(told("musl", musl).contains("needs glibc"));
    let other = Layer::new()
        .entry(EntryType::Regular, "lib64/ld-linux-x86-64.so.2", (0o755, 0), "", b"\x7fELF")
        .entry(EntryType::Regular, "usr/bin/env", (0o755, 0), "", b"x")
        .entry(EntryType::Regular, "bin/sh", (0o755, 0), "", b"x")
        .entry(EntryType::Regular, "bin/bash", (0o755, 0), "", b"#!/usr/bin/env python3 and more");
    assert!(told("other", other).contains("no program for x86-64"));
    let no_image = place.at("text");
    fs::write(&no_image, vec![b'x'; 4096]).unwrap();
    assert!(place.import("text", no_image).is_err());
    let packed = place.at("packed.tar.gz");
    fs::write(&packed, gzip(b"anything")).unwrap();
    assert!(matches!(place.import("packed", packed), Err(Error::Image(_, InvalidImage::Packed))));
    assert!(place.stacks().is_empty());
}
