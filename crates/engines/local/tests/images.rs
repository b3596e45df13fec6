//! The image store with its real helpers and real mounts. Needs root.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

use engine::{Packed, Refusal, Variant};
use local::images::{Images, ImagesConfig};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;
use vocabulary::Digest;

const LIMIT: u64 = 64 << 20;

struct Store {
    images: Images,
    folder: TempDir,
}

impl Drop for Store {
    fn drop(&mut self) {
        let mounts = self.folder.path().join("mounts");
        for entry in fs::read_dir(&mounts).into_iter().flatten().flatten() {
            rustix::mount::unmount(entry.path(), rustix::mount::UnmountFlags::DETACH).ok();
        }
        rustix::mount::unmount(&mounts, rustix::mount::UnmountFlags::DETACH).ok();
    }
}

fn config(folder: &Path) -> ImagesConfig {
    ImagesConfig {
        folder: folder.join("images"),
        stacks: folder.join("stacks"),
        mounts: folder.join("mounts"),
        packer_uid: 64_999,
        packer: vec![env!("CARGO_BIN_EXE_engine-child").to_owned(), "packer".to_owned()],
        mksquashfs: "/usr/bin/mksquashfs".into(),
    }
}

fn store() -> Store {
    let folder = tempfile::tempdir().unwrap();
    // The helpers run without rights and must be able to reach their folder.
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    Store { images: Images::open(&config(folder.path())).unwrap(), folder }
}

fn file_with(bytes: &[u8]) -> OwnedFd {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file.into()
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(4711);
    header.set_mtime(1_700_000_000);
    header.set_size(size);
    header
}

/// A tar whose names are written as they are, which `Builder` would not do.
fn raw(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (kind, name, text) in entries {
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        let data = if is_link { "" } else { text };
        let mut header = header(*kind, 0o6755, data.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        if is_link {
            header.set_link_name_literal(text).unwrap();
        }
        header.set_cksum();
        tar.append(&header, data.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

async fn pack(store: &Store, tar: &[u8]) -> Result<(Packed, File), Refusal> {
    let blob = tempfile::tempfile().unwrap();
    let packed = store.images.pack("/app", LIMIT, file_with(tar), blob.try_clone().unwrap().into()).await?;
    Ok((packed, blob))
}

async fn refused(tar: &[u8]) -> String {
    let store = store();
    let refusal = pack(&store, tar).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Invalid(_)), "{refusal:?}");
    let left: Vec<PathBuf> =
        fs::read_dir(store.folder.path().join("images")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "a refused tree leaves nothing behind: {left:?}");
    refusal.to_string()
}

#[tokio::test]
async fn a_tree_becomes_a_layer_with_one_owner_one_date_and_no_rights() {
    let store = store();
    let long = "long/".repeat(30) + "name";
    let mut tar = Builder::new(Vec::new());
    tar.append_data(&mut header(EntryType::Regular, 0o4777, 5), "bin/start", &b"hello"[..]).unwrap();
    tar.append_data(&mut header(EntryType::Regular, 0o600, 4), &long, &b"deep"[..]).unwrap();
    tar.append_link(&mut header(EntryType::Symlink, 0o777, 0), "passwd", "/etc/passwd").unwrap();
    tar.append_link(&mut header(EntryType::Link, 0o777, 0), "bin/again", "bin/start").unwrap();
    let (packed, _) = pack(&store, &tar.into_inner().unwrap()).await.unwrap();
    let app = store.images.layer(&packed.digest).unwrap().join("app");
    assert_eq!(fs::read(app.join("bin/start")).unwrap(), b"hello");
    assert_eq!(fs::read(app.join("bin/again")).unwrap(), b"hello");
    assert_eq!(fs::read(app.join(&long)).unwrap(), b"deep");
    assert_eq!(fs::read_link(app.join("passwd")).unwrap(), Path::new("/etc/passwd"));
    for (path, mode) in [("bin/start", 0o755), (long.as_str(), 0o644), ("bin", 0o755), ("", 0o755)] {
        let about = fs::metadata(app.join(path)).unwrap();
        assert_eq!(
            (about.mode() & 0o7777, about.uid(), about.gid(), about.mtime()),
            (mode, 1000, 1000, 315_532_800),
            "{path}"
        );
    }
    assert!(fs::write(app.join("new"), b"").is_err(), "a layer is read-only");
    assert_eq!(store.images.layer(&packed.digest).unwrap().join("app"), app, "mounted once");
}

#[tokio::test]
async fn folders_above_home_belong_to_root() {
    let store = store();
    let tar = raw(&[(EntryType::Regular, "node", "x")]);
    let blob = tempfile::tempfile().unwrap();
    let packed = store.images.pack("/opt/runtime", LIMIT, file_with(&tar), blob.into()).await.unwrap();
    let mount = store.images.layer(&packed.digest).unwrap();
    assert_eq!(fs::metadata(mount.join("opt/runtime")).unwrap().uid(), 0);
    assert_eq!(fs::metadata(mount.join("opt/runtime/node")).unwrap().uid(), 1000);
}

#[tokio::test]
async fn the_same_tree_in_another_order_is_the_same_layer() {
    let store = store();
    let one =
        raw(&[(EntryType::Regular, "a", "1"), (EntryType::Directory, "d/", ""), (EntryType::Regular, "d/b", "2")]);
    let other = raw(&[(EntryType::Regular, "./d/b", "2"), (EntryType::Regular, "a", "1")]);
    let (one, _) = pack(&store, &one).await.unwrap();
    let (other, _) = pack(&store, &other).await.unwrap();
    assert_eq!(one, other);
}

#[tokio::test]
async fn hostile_names_are_refused() {
    use EntryType::{Directory, Link, Regular, Symlink};
    assert!(refused(&raw(&[(Regular, "/etc/cron.d/x", "x")])).await.contains("absolute"));
    assert!(refused(&raw(&[(Regular, "a/../../x", "x")])).await.contains("leaves"));
    assert!(refused(&raw(&[(Symlink, "a", "/etc"), (Regular, "a/x", "x")])).await.contains("no folder"));
    assert!(refused(&raw(&[(Regular, "a", "1"), (Regular, "./a", "2")])).await.contains("twice"));
    assert!(refused(&raw(&[(Symlink, "a", "b"), (Directory, "a", "")])).await.contains("twice"));
    assert!(refused(&raw(&[(Link, "a", "/etc/shadow")])).await.contains("absolute"));
    assert!(refused(&raw(&[(Link, "a", "../../etc/shadow")])).await.contains("leaves"));
    assert!(refused(&raw(&[(Link, "a", "etc/shadow")])).await.contains("does not hold"));
}

#[tokio::test]
async fn what_is_no_tar_is_refused() {
    refused(&[7; 4096]).await;
    let mut cut = raw(&[(EntryType::Regular, "a", &"x".repeat(4000))]);
    cut.truncate(2048);
    refused(&cut).await;
}

#[tokio::test]
async fn devices_and_pipes_are_left_out() {
    let store = store();
    let tar = raw(&[
        (EntryType::Char, "tty", ""),
        (EntryType::Block, "sda", ""),
        (EntryType::Fifo, "pipe", ""),
        (EntryType::Regular, "a", "1"),
    ]);
    let (packed, _) = pack(&store, &tar).await.unwrap();
    let names: Vec<_> = fs::read_dir(store.images.layer(&packed.digest).unwrap().join("app"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["a"]);
}

#[tokio::test]
async fn a_tree_over_the_limit_is_too_large() {
    let store = store();
    let tar = raw(&[(EntryType::Regular, "a", "12345")]);
    let blob = tempfile::tempfile().unwrap();
    let packed = store.images.pack("/app", 4, file_with(&tar), blob.into()).await;
    assert_eq!(packed, Err(Refusal::TooLarge { limit_bytes: 4 }));
}

#[tokio::test]
async fn a_hundred_thousand_entries_are_fine_and_half_a_million_more_are_not() {
    let store = store();
    let mut tar = Builder::new(Vec::new());
    for number in 0..100_000 {
        tar.append_data(&mut header(EntryType::Regular, 0o644, 0), format!("d{}/f{number}", number % 100), &b""[..])
            .unwrap();
    }
    let (packed, _) = pack(&store, &tar.into_inner().unwrap()).await.unwrap();
    assert!(store.images.layer(&packed.digest).unwrap().join("app/d99/f99999").exists());
    // Folders that nobody named count too.
    let mut tar = Builder::new(Vec::new());
    for number in 0..1_400 {
        tar.append_data(&mut header(EntryType::Regular, 0o644, 0), format!("{number}/{}", "d/".repeat(400)), &b""[..])
            .unwrap();
    }
    assert!(refused(&tar.into_inner().unwrap()).await.contains("entries"));
}

#[tokio::test]
async fn import_makes_the_same_image_and_refuses_another_blob() {
    let first = store();
    let (packed, mut blob) = pack(&first, &raw(&[(EntryType::Regular, "a", "1")])).await.unwrap();
    let mut bytes = Vec::new();
    blob.rewind().unwrap();
    blob.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, packed.blob_bytes);

    let second = store();
    assert_eq!(second.images.missing(std::slice::from_ref(&packed.digest)).first(), Some(&packed.digest));
    let wrong = Digest::from_bytes(&[1; 32]);
    assert!(matches!(second.images.import(&wrong, file_with(&bytes)).await, Err(Refusal::Invalid(_))));
    assert!(second.images.import(&packed.digest, file_with(&bytes[..bytes.len() / 2])).await.is_err());
    assert_eq!(second.images.missing(std::slice::from_ref(&packed.digest)).len(), 1);
    second.images.import(&packed.digest, file_with(&bytes)).await.unwrap();
    assert!(second.images.missing(std::slice::from_ref(&packed.digest)).is_empty());
    assert_eq!(fs::read(second.images.layer(&packed.digest).unwrap().join("app/a")).unwrap(), b"1");
}

#[tokio::test]
async fn mounts_outlive_the_store_and_go_with_their_image() {
    let store = store();
    let (packed, _) = pack(&store, &raw(&[(EntryType::Regular, "a", "1")])).await.unwrap();
    let mount = store.images.layer(&packed.digest).unwrap();
    let device = fs::metadata(&mount).unwrap().dev();
    let again = Images::open(&config(store.folder.path())).unwrap();
    assert_eq!(again.layer(&packed.digest).unwrap(), mount);
    assert_eq!(fs::metadata(&mount).unwrap().dev(), device, "not mounted a second time");
    let in_use = [packed.digest.clone()].into();
    assert_eq!(again.discard(vec![packed.digest.clone()], move || in_use).await.unwrap().in_use, 1);
    assert!(mount.exists());
    again.discard(vec![packed.digest.clone()], || [].into()).await.unwrap();
    assert!(!mount.exists());
    assert!(again.layer(&packed.digest).is_err());
}

#[tokio::test]
async fn a_stack_is_named_plainly_and_has_two_forms() {
    let store = store();
    let (packed, _) = pack(&store, &raw(&[(EntryType::Regular, "a", "1")])).await.unwrap();
    let stack = store.folder.path().join("stacks/tiny-1");
    fs::create_dir_all(&stack).unwrap();
    let image = store.folder.path().join(format!("images/{}.sqfs", packed.digest));
    fs::copy(&image, stack.join("run.sqfs")).unwrap();
    assert!(store.images.stacks().is_empty(), "half a stack is none");
    fs::copy(&image, stack.join("build-delta.sqfs")).unwrap();
    assert_eq!(store.images.stacks()[0].name, "tiny-1");
    let first = store.images.stacks()[0].image.clone();
    assert_eq!(store.images.stacks()[0].image, first);
    fs::write(stack.join("manifest.json"), r#"{"files": {"run.sqfs": "another"}}"#).unwrap();
    assert_ne!(store.images.stacks()[0].image, first, "another image of the same name and length");
    let run = store.images.stack("tiny-1", Variant::Run).unwrap();
    let build = store.images.stack("tiny-1", Variant::Build).unwrap();
    assert_eq!((run.len(), build.len()), (1, 2));
    assert_eq!(run[0], build[1], "the delta lies on top of the run image");
    for name in ["../images", "", "no-such", "tiny-1/.."] {
        assert!(store.images.stack(name, Variant::Run).is_err(), "{name}");
    }
    assert!(Digest::from_str("tiny").is_err());
}

#[tokio::test]
async fn a_small_app_packs_fast() {
    let store = store();
    let mut tar = Builder::new(Vec::new());
    for number in 0..100u32 {
        let bytes: Vec<u8> =
            (0..10_000u32).map(|at| u8::try_from((at.wrapping_mul(number + 7) >> 3) & 0x7f).unwrap()).collect();
        tar.append_data(&mut header(EntryType::Regular, 0o644, bytes.len() as u64), format!("f{number}"), &bytes[..])
            .unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let mut best = u128::MAX;
    for round in 0..5 {
        let blob = tempfile::tempfile().unwrap();
        let began = Instant::now();
        store.images.pack(&format!("/app/{round}"), LIMIT, file_with(&tar), blob.into()).await.unwrap();
        best = best.min(began.elapsed().as_millis());
    }
    // The goal is 80 ms for the optimised program on a quiet machine; this build is neither.
    assert!(best < 800, "{best} ms");
}
