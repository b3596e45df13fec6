//! Archives that want out, and archives that are too much.

use std::fs;
use std::io::Write as _;

use tar::{Builder, EntryType, Header};

use super::tar_of;
use crate::layout::Limits;
use crate::source::{SourceError, extract};

const LIMITS: Limits = Limits { bytes: 1 << 20, entries: 100 };

/// A tar whose names are written as they are, also those no packer would write.
fn raw(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (kind, name, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o6777);
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        if is_link {
            let old = header.as_old_mut();
            old.linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        let content = if is_link { "" } else { content };
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn unpack(bytes: &[u8]) -> (tempfile::TempDir, Result<(), SourceError>) {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("in");
    fs::create_dir(&target).unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    let result = extract(bytes, &target, LIMITS, false);
    (folder, result)
}

#[test]
fn nothing_is_written_outside() {
    use EntryType::{Link, Regular, Symlink};
    let cases: [&[(EntryType, &str, &str)]; 8] = [
        &[(Regular, "../out/x", "evil")],
        &[(Regular, "a/../../out/x", "evil")],
        &[(Regular, "/out/x", "evil")],
        &[(Symlink, "link", "../out"), (Regular, "link/x", "evil")],
        &[(Symlink, "a", "."), (Symlink, "a/b", "../out"), (Regular, "b/x", "evil")],
        &[(Link, "x", "../out/secret")],
        &[(Symlink, "link", "../out"), (Link, "link/x", "file")],
        &[(Symlink, "link", "../out"), (EntryType::Directory, "link/x", "")],
    ];
    for entries in cases {
        let (folder, result) = unpack(&raw(entries));
        assert!(result.is_err(), "{entries:?}");
        assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 0, "{entries:?}");
    }
}

#[test]
fn a_file_over_a_link_replaces_the_link() {
    let (folder, result) = unpack(&raw(&[(EntryType::Symlink, "x", "../out/x"), (EntryType::Regular, "x", "mine")]));
    result.unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("in/x")).unwrap(), "mine");
    assert!(!folder.path().join("out/x").exists());
}

#[test]
fn links_stay_as_they_are() {
    let entries =
        [(EntryType::Symlink, "abs", "/etc/passwd"), (EntryType::Regular, "a", "x"), (EntryType::Link, "b", "a")];
    let (folder, result) = unpack(&raw(&entries));
    result.unwrap();
    let inside = folder.path().join("in");
    assert_eq!(fs::read_link(inside.join("abs")).unwrap().to_str(), Some("/etc/passwd"));
    assert_eq!(fs::read_to_string(inside.join("b")).unwrap(), "x");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(inside.join("a")).unwrap().permissions());
    assert_eq!(mode & 0o7777, 0o755, "no setuid");
}

#[test]
fn devices_and_broken_archives_are_refused() {
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
        assert!(matches!(unpack(&raw(&[(kind, "x", "")])).1, Err(SourceError::Kind(_))));
    }
    assert!(matches!(unpack(b"this is no tar, whatever it says it is").1, Err(SourceError::Read(_))));
    let whole = tar_of(&[("a", &"x".repeat(5000))]);
    assert!(unpack(&whole[..1000]).1.is_err());
    assert!(matches!(unpack(&[0x1f, 0x8b, 8, 0, 1, 2, 3]).1, Err(SourceError::Read(_))));
}

#[test]
fn too_much_is_refused_also_if_it_is_small_on_the_way() {
    let many: Vec<(String, &str)> = (0..101).map(|number| (number.to_string(), "")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, content)| (name.as_str(), *content)).collect();
    assert!(matches!(unpack(&tar_of(&many)).1, Err(SourceError::Entries(100))));
    let zeros = "0".repeat(3 << 20);
    let bomb = zstd::encode_all(tar_of(&[("bomb", &zeros)]).as_slice(), 3).unwrap();
    assert!(bomb.len() < 10_000);
    assert!(matches!(unpack(&bomb).1, Err(SourceError::Bytes(_))));
}

#[test]
fn plain_gzip_and_zstd_with_and_without_a_top_folder() {
    let plain = tar_of(&[("top/a*", "x"), ("top/b/c", "y")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    for bytes in [plain.clone(), gzip.finish().unwrap(), zstd::encode_all(plain.as_slice(), 3).unwrap()] {
        for (strip, path) in [(false, "top/b/c"), (true, "b/c")] {
            let folder = tempfile::tempdir().unwrap();
            extract(bytes.as_slice(), folder.path(), LIMITS, strip).unwrap();
            assert_eq!(fs::read_to_string(folder.path().join(path)).unwrap(), "y");
        }
    }
}
