//! Unpacks a tar made by someone we do not trust: the app's source, or a fetched buildpack. Knows no buildpack.
//!
//! Every path is walked from the target folder one component at a time without following links, so that an archive
//! cannot write through a link it brought itself. Accepted are files, folders, symbolic links (kept as they are, never
//! followed here) and hard links to files of the same archive; anything else is refused.

use std::ffi::OsStr;
use std::io::{self, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tar::EntryType;

use crate::layout::Limits;
use crate::meter::{Budget, Meter};

/// The most bytes of what a tar says of one entry: names, links, attributes. All of it is kept in memory, whatever it
/// was compressed from.
const SAYINGS: u64 = 1 << 20;
/// The longest path in bytes, as Linux has it.
const LONGEST_PATH: usize = 4095;

/// Why an archive is not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// It is no tar, or cut short, or its compression is broken.
    #[error("reading the archive")]
    Read(#[source] io::Error),
    /// An entry would land outside.
    #[error("the archive has a path that leads outside: {0:?}")]
    Outside(PathBuf),
    /// An entry lies behind a link of the archive.
    #[error("writing {path:?}")]
    Write {
        /// The entry.
        path: PathBuf,
        /// Also that something on the way is no folder.
        source: io::Error,
    },
    /// A device, a pipe or the like.
    #[error("the archive has {0:?}, which is neither a file nor a folder nor a link")]
    Kind(PathBuf),
    /// The files are too large together.
    #[error("the files of the archive are larger than {} MiB together", .0 >> 20)]
    Bytes(u64),
    /// A name longer than Linux has, or with a zero byte.
    #[error("the archive has an impossible name: {0:?}")]
    Name(PathBuf),
    /// Headers without end.
    #[error("the archive says more than {} KiB of one entry", SAYINGS >> 10)]
    Sayings,
    /// There are too many entries.
    #[error("the archive has more than {0} entries")]
    Entries(u64),
}

/// Unpacks a tar, plain or compressed with gzip or zstd, into an existing folder; `strip` drops the top folder.
pub(crate) fn extract(reader: impl Read, folder: &Path, limits: Limits, strip: bool) -> Result<(), SourceError> {
    let budget = Budget::new(SAYINGS);
    let reader = decompress(reader).map_err(SourceError::Read)?;
    let mut archive = tar::Archive::new(Meter::new(reader, budget.clone()));
    let mut tree = Tree::open(folder)?;
    let mut left = limits;
    for entry in archive.entries().map_err(SourceError::Read)? {
        let mut entry = entry.map_err(|error| unreadable(error, &budget))?;
        left.entries = left.entries.checked_sub(1).ok_or(SourceError::Entries(limits.entries))?;
        left.bytes = left.bytes.checked_sub(entry.size()).ok_or(SourceError::Bytes(limits.bytes))?;
        // Its contents are bounded by now and are not kept in memory; all of them are read here, so that behind them
        // only what is said of the next entry comes.
        budget.set(u64::MAX);
        if !matches!(entry.header().entry_type(), EntryType::XGlobalHeader | EntryType::XHeader) {
            unpack(&mut entry, &mut tree, strip)?;
        }
        io::copy(&mut entry, &mut io::sink()).map_err(SourceError::Read)?;
        budget.set(SAYINGS);
    }
    Ok(())
}

fn unreadable(error: io::Error, budget: &Budget) -> SourceError {
    if budget.is_used_up() { SourceError::Sayings } else { SourceError::Read(error) }
}

/// Chooses by the first bytes.
fn decompress<'a>(mut reader: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::with_capacity(4);
    (&mut reader).take(4).read_to_end(&mut head)?;
    let whole = BufReader::with_capacity(256 << 10, io::Cursor::new(head.clone()).chain(reader));
    Ok(match head.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::stream::read::Decoder::with_buffer(whole)?),
        _ => Box::new(whole),
    })
}

fn unpack<R: Read>(entry: &mut tar::Entry<'_, R>, tree: &mut Tree, strip: bool) -> Result<(), SourceError> {
    let name = PathBuf::from(OsStr::from_bytes(&entry.path_bytes()));
    let Some(path) = inside(&name, strip)? else { return Ok(()) };
    let mode = entry.header().mode().unwrap_or(0o644);
    match entry.header().entry_type() {
        EntryType::Directory => tree.folder(&path),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => tree.file(&path, mode, entry),
        EntryType::Symlink => tree.link(&path, &link_target(entry, &path)?),
        EntryType::Link => match inside(Path::new(&link_target(entry, &path)?), strip)? {
            Some(target) => tree.hard_link(&path, &target),
            None => Err(SourceError::Outside(name)),
        },
        _ => Err(SourceError::Kind(name)),
    }
}

fn link_target<R: Read>(entry: &tar::Entry<'_, R>, path: &Path) -> Result<PathBuf, SourceError> {
    let target = entry.link_name_bytes().filter(|target| !target.is_empty());
    target.map(|bytes| PathBuf::from(OsStr::from_bytes(&bytes))).ok_or_else(|| SourceError::Kind(path.to_owned()))
}

/// The path below the target folder; none if it is that folder itself.
fn inside(name: &Path, strip: bool) -> Result<Option<PathBuf>, SourceError> {
    let bytes = name.as_os_str().as_bytes();
    if bytes.len() > LONGEST_PATH || bytes.contains(&0) {
        let shown = bytes.get(..bytes.len().min(100)).unwrap_or_default();
        return Err(SourceError::Name(PathBuf::from(OsStr::from_bytes(shown))));
    }
    let mut parts = Vec::new();
    for component in name.components() {
        match component {
            Component::Normal(part) => parts.push(part),
            Component::CurDir => {}
            _ => return Err(SourceError::Outside(name.to_owned())),
        }
    }
    let kept = parts.get(usize::from(strip)..).unwrap_or_default();
    Ok((!kept.is_empty()).then(|| kept.iter().collect()))
}

/// The folder that is written to, with the folder of the last entry kept open: archives list neighbours together.
struct Tree {
    root: OwnedFd,
    last: Option<(PathBuf, OwnedFd)>,
}

impl Tree {
    fn open(folder: &Path) -> Result<Self, SourceError> {
        let root = rustix::fs::openat(CWD, folder, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| SourceError::Write { path: folder.to_owned(), source: error.into() })?;
        Ok(Self { root, last: None })
    }

    /// Creates a folder and those above it; one that is there stays.
    fn folder(&mut self, path: &Path) -> Result<(), SourceError> {
        self.enter(path).map(drop).map_err(writing(path))
    }

    fn file(&mut self, path: &Path, mode: u32, content: &mut impl Read) -> Result<(), SourceError> {
        let (parent, name) = self.place(path)?;
        // Only whether it may be executed is kept, as git does; setuid and the like never come along.
        let mode = if mode & 0o100 == 0 { Mode::from(0o644) } else { Mode::from(0o755) };
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(parent, name, flags, mode).map_err(|error| writing(path)(error.into()))?;
        io::copy(content, &mut std::fs::File::from(file)).map_err(writing(path))?;
        Ok(())
    }

    fn link(&mut self, path: &Path, target: &Path) -> Result<(), SourceError> {
        let (parent, name) = self.place(path)?;
        rustix::fs::symlinkat(target, parent, name).map_err(|error| writing(path)(error.into()))
    }

    fn hard_link(&mut self, path: &Path, target: &Path) -> Result<(), SourceError> {
        let from = self.enter(target.parent().unwrap_or(Path::new(""))).and_then(OwnedFd::try_clone);
        let from = from.map_err(writing(path))?;
        let target = target.file_name().unwrap_or_default();
        let (parent, name) = self.place(path)?;
        // Without AT_SYMLINK_FOLLOW the link itself is linked, never what it points to.
        rustix::fs::linkat(from, target, parent, name, AtFlags::empty()).map_err(|error| writing(path)(error.into()))
    }

    /// The folder of an entry and its name there; a file or link that stands in its place is removed.
    fn place<'a>(&mut self, path: &'a Path) -> Result<(&OwnedFd, &'a OsStr), SourceError> {
        let name = path.file_name().unwrap_or_default();
        let parent = self.enter(path.parent().unwrap_or(Path::new(""))).map_err(writing(path))?;
        match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok((parent, name)),
            Err(error) => Err(writing(path)(error.into())),
        }
    }

    fn enter(&mut self, path: &Path) -> io::Result<&OwnedFd> {
        if path.as_os_str().is_empty() {
            return Ok(&self.root);
        }
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            let mut folder = self.root.try_clone()?;
            for part in path {
                folder = step(&folder, part)?;
            }
            self.last = Some((path.to_owned(), folder));
        }
        Ok(self.last.as_ref().map_or(&self.root, |(_, folder)| folder))
    }
}

/// Opens a folder in a folder, never through a link; makes it if it is not there.
fn step(folder: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(folder, name, Mode::from(0o755)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, name, flags, Mode::empty())?)
}

fn writing(path: &Path) -> impl FnOnce(io::Error) -> SourceError {
    let path = path.to_owned();
    move |source| SourceError::Write { path, source }
}
