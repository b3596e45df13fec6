//! Archives that want out, and archives that are too much.

use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;

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

/// A header whose name, kind and size are written as they are.
fn head(kind: EntryType, name: &[u8], size: u64) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// What a header says of the entry behind it, and that entry.
fn said(kind: EntryType, saying: &[u8], entry: &[u8]) -> Vec<u8> {
    [head(kind, b"./@LongLink", saying.len() as u64), padded(saying.to_vec()), entry.to_vec(), vec![0; 1024]].concat()
}

/// One record of a PAX header.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (rest + 1..rest + 20).find(|length| length.to_string().len() + rest == *length).unwrap();
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

#[test]
fn names_that_are_no_text_arrive_as_they_are_and_impossible_ones_are_refused() {
    let empty = head(EntryType::Regular, b"short", 0);
    let (folder, result) = unpack(&[head(EntryType::Regular, b"caf\xe9 \xff", 0), vec![0; 1024]].concat());
    result.unwrap();
    let names: Vec<_> =
        fs::read_dir(folder.path().join("in")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [std::ffi::OsStr::from_bytes(b"caf\xe9 \xff")]);
    for impossible in [b"a\0b".to_vec(), b"a/".repeat(2500), b"x".repeat(5000)] {
        let by_pax = said(EntryType::XHeader, &record("path", &impossible), &empty);
        assert!(matches!(unpack(&by_pax).1, Err(SourceError::Name(_))), "{:?}", unpack(&by_pax).1);
    }
    let long = said(EntryType::GNULongName, &[b'x'; 300], &empty);
    assert!(matches!(unpack(&long).1, Err(SourceError::Write { .. })), "longer than a file system takes");
}

#[test]
fn what_is_said_of_an_entry_may_lead_it_nowhere_else() {
    let file = head(EntryType::Regular, b"short", 0);
    for (kind, saying) in [
        (EntryType::GNULongName, b"../out/x\0".to_vec()),
        (EntryType::XHeader, record("path", b"../out/x")),
        (EntryType::XHeader, record("path", b"/out/x")),
        (EntryType::XHeader, [record("path", b"../out/x"), record("path", b"fine")].concat()),
    ] {
        let (folder, result) = unpack(&said(kind, &saying, &file));
        assert!(matches!(result, Err(SourceError::Outside(_))), "{kind:?} {result:?}");
        assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 0);
    }
    let link = head(EntryType::Link, b"short", 0);
    let (_, result) = unpack(&said(EntryType::XHeader, &record("linkpath", b"../out/secret"), &link));
    assert!(matches!(result, Err(SourceError::Outside(_))), "{result:?}");
}

#[test]
fn headers_without_end_are_refused_before_they_fill_the_memory() {
    let file = head(EntryType::Regular, b"short", 0);
    let endless = vec![b'x'; 3 << 20];
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
        let bomb = zstd::encode_all(said(kind, &endless, &file).as_slice(), 3).unwrap();
        assert!(bomb.len() < 10_000);
        assert!(matches!(unpack(&bomb).1, Err(SourceError::Sayings)), "{kind:?}");
    }
    let many: Vec<u8> = (0..200_000).flat_map(|number| record(&format!("k{number}"), b"v")).collect();
    assert!(matches!(unpack(&said(EntryType::XHeader, &many, &file)).1, Err(SourceError::Sayings)));
    // Of a whole archive they are not kept, and do not count; but there are only so many entries.
    let global = said(EntryType::XGlobalHeader, &endless[..1 << 19], &file);
    unpack(&global).1.unwrap();
    let (folder, result) =
        unpack(&[head(EntryType::Regular, b"large", 1 << 20), vec![b'x'; 1 << 20], vec![0; 1024]].concat());
    result.unwrap();
    assert_eq!(fs::metadata(folder.path().join("in/large")).unwrap().len(), 1 << 20, "contents are no header");
}

#[test]
fn a_file_that_says_it_is_larger_than_all_disks_is_refused() {
    for size in [8_u64 << 60, u64::MAX >> 1, u64::MAX, (1 << 20) + 1] {
        let (folder, result) = unpack(&head(EntryType::Regular, b"large", size));
        assert!(result.is_err(), "{size}");
        assert!(!folder.path().join("in/large").exists());
    }
    // Sparse: 8 EiB of which 512 bytes are there.
    let mut sparse = Header::from_byte_slice(&head(EntryType::GNUSparse, b"sparse", 512)).clone();
    let gnu = sparse.as_gnu_mut().unwrap();
    gnu.set_real_size(8 << 60);
    gnu.sparse[0].set_offset((8 << 60) - 512);
    gnu.sparse[0].set_length(512);
    sparse.set_cksum();
    let (folder, result) = unpack(&[sparse.as_bytes().as_slice(), &[1; 512], &[0; 1024]].concat());
    assert!(matches!(result, Err(SourceError::Bytes(_))), "{result:?}");
    assert!(!folder.path().join("in/sparse").exists());
}

#[test]
fn of_two_entries_with_one_name_the_later_counts_and_a_folder_stays_a_folder() {
    use EntryType::{Directory, Link, Regular, Symlink};
    let (folder, result) = unpack(&raw(&[(Regular, "a", "1"), (Regular, "./a", "2"), (Regular, "b//../a", "3")]));
    assert!(matches!(result, Err(SourceError::Outside(_))));
    assert_eq!(fs::read_to_string(folder.path().join("in/a")).unwrap(), "2");
    for entries in [
        [(Directory, "a", ""), (Regular, "a", "x")],
        [(Directory, "a", ""), (Symlink, "a", "../out")],
        [(Regular, "a", "x"), (Directory, "a", "")],
        [(Link, "a", "a"), (Link, "b", "a")],
    ] {
        assert!(matches!(unpack(&raw(&entries)).1, Err(SourceError::Write { .. })), "{entries:?}");
    }
}

#[test]
fn gzip_in_parts_is_whole_and_cut_gzip_is_refused() {
    let zip = |bytes: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    };
    // Random contents, so that every byte of the archive counts.
    let noise: String = (0_u32..3000).map(|number| char::from(b'a' + (number * number % 251 % 26) as u8)).collect();
    let plain = tar_of(&[("a", noise.as_str()), ("b", "y")]);
    let (first, second) = plain.split_at(700);
    let (folder, result) = unpack(&[zip(first), zip(second)].concat());
    result.unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("in/b")).unwrap(), "y");
    let whole = zip(&plain[..3584]);
    for cut in (1..whole.len() - 8).step_by(7) {
        assert!(unpack(&whole[..cut]).1.is_err(), "cut at {cut} of {}", whole.len());
    }
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
