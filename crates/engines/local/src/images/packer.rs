//! The packer: a child process without rights that turns a hostile tar into a normalised one.
//!
//! ```text
//! packer PREFIX LIMIT_BYTES    0: tar in   1: normalised tar out   2: a refusal as JSON   3: spool, an unnamed file
//! ```
//!
//! The normalised tar of a tree is always the same bytes: sorted, owner 1000, one date, modes 755 and 644, no devices,
//! no extended attributes, everything under PREFIX. Contents wait in the spool, since sorting needs the whole tree.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use engine::Refusal;
use tar::{Archive, Builder, Entry, EntryType, Header};

use super::tree::{Content, Node, Refused, Tree, TreePath};

/// The number the spool has in the child.
pub const SPOOL: i32 = 3;
/// 1 January 1980: not 0, which ZIP cannot hold and some tools take for "unknown".
pub const MODIFIED: u64 = 315_532_800;
/// The user inside a dyno.
const OWNER: u64 = 1000;
/// Folders under it belong to [`OWNER`], those above it to root.
const HOME: &[u8] = b"app";
/// How much is copied at once.
const CHUNK: usize = 256 * 1024;

/// Where a tree goes and how large it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Under which path, relative to the instance's root: `app`.
    pub prefix: TreePath,
    /// The most bytes of file contents.
    pub limit_bytes: u64,
}

impl Plan {
    /// A plan of what a request says. `prefix` is absolute and without `..`.
    pub fn new(prefix: &str, limit_bytes: u64) -> Result<Self, Refusal> {
        let invalid = || Refusal::Invalid(format!("{prefix:?} is no absolute path for a layer"));
        let relative = prefix.strip_prefix('/').ok_or_else(invalid)?;
        let prefix = TreePath::parse(relative.as_bytes()).map_err(|_| invalid())?;
        if prefix.is_root() { Err(invalid()) } else { Ok(Self { prefix, limit_bytes }) }
    }
}

/// Why a tar was not normalised.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tree breaks a rule.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It holds more than the plan allows.
    #[error("the archive holds more than {0} bytes")]
    TooLarge(u64),
    /// It is no tar.
    #[error("could not read the archive: {0}")]
    Read(#[source] io::Error),
    /// The spool or the output failed.
    #[error("could not write the layer: {0}")]
    Write(#[source] io::Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::TooLarge(limit_bytes) => Refusal::TooLarge { limit_bytes },
            Error::Refused(_) | Error::Read(_) => Refusal::Invalid(error.to_string()),
            Error::Write(_) => Refusal::Failed(error.to_string()),
        }
    }
}

/// The child's whole life. `args` are PREFIX and LIMIT_BYTES, or what `stack::import` asks of it.
pub fn packer_main(input: impl Read, output: impl Write, args: &[String]) -> ExitCode {
    // An image that becomes a stack is read by the same child under the same limits.
    if let [what] = args {
        return crate::stack::import::child_main(what, input, output);
    }
    let refusal = match packed(input, output, args) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(refusal) => refusal,
    };
    // Whoever reads it is our parent; if it went away nobody needs the reason.
    drop(serde_json::to_writer(io::stderr(), &refusal));
    ExitCode::FAILURE
}

fn packed(input: impl Read, output: impl Write, args: &[String]) -> Result<(), Refusal> {
    let [prefix, limit] = args else { return Err(Refusal::Invalid("usage: packer PREFIX LIMIT_BYTES".to_owned())) };
    let limit = limit.parse().map_err(|_| Refusal::Invalid("the limit is no number".to_owned()))?;
    let plan = Plan::new(prefix, limit)?;
    let spool = sys::descriptors::inherited(SPOOL).map_err(|error| Refusal::Failed(error.to_string()))?;
    Ok(normalise(input, output, File::from(spool), &plan)?)
}

/// Reads a tar from `input` and writes the normalised one to `output`. `spool` is an empty file to read and write.
pub fn normalise(input: impl Read, output: impl Write, mut spool: File, plan: &Plan) -> Result<(), Error> {
    let tree = gather(input, &mut spool, plan)?;
    let mut out = Builder::new(BufWriter::with_capacity(CHUNK, output));
    write_parents(&mut out, &plan.prefix).map_err(Error::Write)?;
    write_tree(&mut out, &tree, &plan.prefix, spool).map_err(Error::Write)?;
    out.into_inner().and_then(|mut out| out.flush()).map_err(Error::Write)
}

fn gather(input: impl Read, spool: &mut File, plan: &Plan) -> Result<Tree, Error> {
    let mut tree = Tree::default();
    let mut spool = Spool::new(spool, plan.limit_bytes);
    let mut archive = Archive::new(BufReader::with_capacity(CHUNK, input));
    for entry in archive.entries().map_err(Error::Read)? {
        take(&mut tree, &mut spool, entry.map_err(Error::Read)?)?;
    }
    spool.flush()?;
    Ok(tree)
}

/// Takes one entry into the tree. Devices, pipes and what tar itself needs are left out.
fn take(tree: &mut Tree, spool: &mut Spool<'_>, mut entry: Entry<'_, impl Read>) -> Result<(), Error> {
    let kind = entry.header().entry_type();
    if !matches!(kind, EntryType::Directory | EntryType::Symlink | EntryType::Link) && !is_file(kind) {
        return Ok(());
    }
    let path = TreePath::parse(&entry.path_bytes())?;
    match kind {
        EntryType::Directory => tree.insert(path, Node::Folder)?,
        EntryType::Symlink => tree.insert(path, Node::Symlink(link_text(&entry)?))?,
        EntryType::Link => {
            let target = TreePath::parse(&entry.link_name_bytes().unwrap_or_default())?;
            tree.link(path, &target)?;
        }
        // Tar before 1988 wrote folders as files whose name ends in a slash.
        EntryType::Regular if entry.path_bytes().ends_with(b"/") => tree.insert(path, Node::Folder)?,
        _ => {
            let executable = entry.header().mode().map_err(Error::Read)? & 0o111 != 0;
            let content = spool.take(&mut entry, executable)?;
            tree.insert(path, Node::File(content))?;
        }
    }
    Ok(())
}

fn is_file(kind: EntryType) -> bool {
    matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse)
}

pub(crate) fn link_text(entry: &Entry<'_, impl Read>) -> Result<Vec<u8>, Error> {
    let text = entry.link_name_bytes().unwrap_or_default().into_owned();
    // What Linux's symlink(2) takes.
    let fine = !text.is_empty() && text.len() <= 4095 && !text.contains(&0);
    if fine { Ok(text) } else { Err(Refused::Name(String::from_utf8_lossy(&entry.path_bytes()).into_owned()).into()) }
}

/// Where contents wait until the whole tree is known.
pub(crate) struct Spool<'a> {
    file: BufWriter<&'a mut File>,
    used: u64,
    pub(crate) limit: u64,
    files: usize,
}

impl<'a> Spool<'a> {
    /// A spool in an empty file that takes so many bytes.
    pub(crate) fn new(file: &'a mut File, limit: u64) -> Self {
        Self { file: BufWriter::with_capacity(CHUNK, file), used: 0, limit, files: 0 }
    }

    /// Writes what is still in memory.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.file.flush().map_err(Error::Write)
    }

    /// The bytes it holds.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// Keeps what `input` gives, one byte more at most than is left of the limit.
    pub(crate) fn take(&mut self, input: &mut impl Read, executable: bool) -> Result<Content, Error> {
        let left = self.limit - self.used;
        // Reading and writing fail for different reasons, but both mean that this tar does not become a layer.
        let length = io::copy(&mut input.take(left + 1), &mut self.file).map_err(Error::Read)?;
        if length > left {
            return Err(Error::TooLarge(self.limit));
        }
        let content = Content { id: self.files, offset: self.used, length, executable };
        self.used += length;
        self.files += 1;
        Ok(content)
    }
}

fn header(kind: EntryType, mode: u32, owner: u64, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(MODIFIED);
    header.set_size(size);
    header
}

/// The folders of the prefix, which the archive does not hold.
fn write_parents(out: &mut Builder<impl Write>, prefix: &TreePath) -> io::Result<()> {
    for folder in prefix.parents().chain([prefix.clone()]) {
        let bytes = folder.as_os_str().as_bytes();
        let ours = bytes == HOME || bytes.strip_prefix(HOME).is_some_and(|rest| rest.first() == Some(&b'/'));
        let mut header = header(EntryType::Directory, 0o755, if ours { OWNER } else { 0 }, 0);
        out.append_data(&mut header, PathBuf::from(folder.as_os_str()), io::empty())?;
    }
    Ok(())
}

fn write_tree(out: &mut Builder<impl Write>, tree: &Tree, prefix: &TreePath, spool: File) -> io::Result<()> {
    let prefix = PathBuf::from(prefix.as_os_str());
    let mut spool = BufReader::with_capacity(CHUNK, spool);
    let mut at = 0;
    spool.seek(SeekFrom::Start(0))?;
    // The first path of each content; the others are hard links to it.
    let mut written: HashMap<usize, PathBuf> = HashMap::new();
    for (path, node) in tree.entries() {
        let path = prefix.join(path.as_os_str());
        match node {
            Node::Folder => out.append_data(&mut header(EntryType::Directory, 0o755, OWNER, 0), &path, io::empty())?,
            Node::Symlink(text) => {
                let mut header = header(EntryType::Symlink, 0o777, OWNER, 0);
                out.append_link(&mut header, &path, OsStr::from_bytes(text))?;
            }
            Node::File(content) => {
                let mode = if content.executable { 0o755 } else { 0o644 };
                if let Some(first) = written.get(&content.id) {
                    out.append_link(&mut header(EntryType::Link, mode, OWNER, 0), &path, first)?;
                    continue;
                }
                spool.seek_relative(content.offset.cast_signed() - i64::try_from(at).unwrap_or(i64::MAX))?;
                let mut header = header(EntryType::Regular, mode, OWNER, content.length);
                out.append_data(&mut header, &path, (&mut spool).take(content.length))?;
                at = content.offset + content.length;
                written.insert(content.id, path);
            }
        }
    }
    Ok(())
}
