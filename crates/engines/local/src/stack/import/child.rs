//! The child without rights that reads an image's layers and writes the tree they make as one tar.
//!
//! ```text
//! packer stack    0: u32 length, Plan as JSON, then the layers' bytes one after the other
//!                 1: the tar   2: a Report or a refusal as JSON   3: spool, an unnamed file
//! packer index    0: a tar as a file   1: Index as JSON   2: a refusal
//! ```

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tar::{Builder, EntryType, Header};
use vocabulary::Digest;

use super::merged::{Entry, Kind, Merged};
use super::read::{self, LeftOut};
use super::{index, system};
use crate::images::packer::{self, SPOOL, Spool};
use crate::images::tree::Refused;

/// The most bytes of a plan: the certificates are in it.
const MAX_PLAN: u32 = 8 << 20;
const CHUNK: usize = 256 * 1024;

/// What the child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    /// From the bottom to the top.
    pub(super) layers: Vec<Layer>,
    /// The most bytes of all files together.
    pub(super) limit_bytes: u64,
    /// The certificates programs inside trust, as PEM.
    pub(super) certificates: String,
}

/// One layer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Layer {
    /// Bytes as they come.
    pub(super) size: u64,
    /// Of the bytes as they come.
    pub(super) digest: Option<Digest>,
    /// Of the unpacked tar.
    pub(super) diff_id: Option<Digest>,
}

/// What came out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What the system calls itself: `PRETTY_NAME` of os-release.
    pub system: String,
    /// Files, folders and links.
    pub entries: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// Devices, pipes and sockets that were left out.
    pub left_out: usize,
    /// Programs that buildpacks use and the image lacks.
    pub lacks: Vec<String>,
}

/// Why an image becomes no stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Problem {
    /// A layer cannot be read.
    #[error("could not read layer {number}: {reason}")]
    Layer {
        /// Counted from 1, the bottom.
        number: usize,
        /// Why.
        reason: String,
    },
    /// A layer's bytes are not those that were announced.
    #[error("layer {number} is not what its digest says; fetch or export the image again")]
    Digest {
        /// Counted from 1, the bottom.
        number: usize,
    },
    /// It unpacks to far more than it holds.
    #[error("layer {number} of {packed} bytes unpacks to more than {most}; no real layer does")]
    Bomb {
        /// Counted from 1, the bottom.
        number: usize,
        /// Its bytes.
        packed: u64,
        /// What it might unpack to.
        most: u64,
    },
    /// All files together are too much.
    #[error("the image holds more than {0} bytes")]
    TooLarge(u64),
    /// It holds something that cannot be laid out.
    #[error("{0}")]
    Tree(String),
    /// It lacks what apps need.
    #[error("the image cannot be a stack: {0}")]
    Unfit(String),
    /// The archive has no table of contents worth reading.
    #[error("could not read the archive: {0}")]
    Archive(String),
    /// Not the image's fault.
    #[error("could not write the stack: {0}")]
    Write(String),
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::Tree(refused.to_string().replace("the archive", "the image"))
    }
}

impl From<packer::Error> for Problem {
    fn from(error: packer::Error) -> Self {
        match error {
            packer::Error::Refused(refused) => refused.into(),
            packer::Error::TooLarge(limit) => Self::TooLarge(limit),
            error => Self::Tree(error.to_string()),
        }
    }
}

/// The child's whole life.
pub(super) fn main(what: &str, input: impl Read, output: impl Write) -> ExitCode {
    let done = match what {
        "stack" => stack(input, output).and_then(|report| told(&report)),
        "index" => index::main(output),
        _ => Err(Problem::Write(format!("a packer does not know what {what:?} is"))),
    };
    let Err(problem) = done else { return ExitCode::SUCCESS };
    // Whoever reads it is our parent; if it went away nobody needs the reason.
    drop(serde_json::to_writer(io::stderr(), &problem));
    ExitCode::FAILURE
}

fn told(report: &Report) -> Result<(), Problem> {
    serde_json::to_writer(io::stderr(), report).map_err(|error| Problem::Write(error.to_string()))
}

fn stack(input: impl Read, output: impl Write) -> Result<Report, Problem> {
    let spool = sys::descriptors::inherited(SPOOL).map_err(|error| Problem::Write(error.to_string()))?;
    flatten(input, output, File::from(spool))
}

/// Reads a plan and its layers from `input` and writes the tar of the stack to `output`.
fn flatten(mut input: impl Read, output: impl Write, mut spool: File) -> Result<Report, Problem> {
    let plan = plan(&mut input).map_err(|error| Problem::Write(error.to_string()))?;
    let mut merged = Merged::default();
    let mut left_out = LeftOut::default();
    let reading = spool.try_clone().map_err(|error| Problem::Write(error.to_string()))?;
    let mut contents = Spool::new(&mut spool, plan.limit_bytes);
    for (number, layer) in plan.layers.iter().enumerate() {
        read::layer(&mut input, layer, number + 1, &mut merged, &mut contents, &mut left_out)?;
    }
    merged.next_layer();
    let mut report = system::complete(&mut merged, &mut contents, &reading, &plan.certificates)?;
    contents.flush()?;
    report.bytes = contents.used();
    report.left_out = left_out.special;
    report.entries = merged.entries().count();
    write(&merged, output, reading).map_err(|error| Problem::Write(error.to_string()))?;
    Ok(report)
}

fn plan(input: &mut impl Read) -> io::Result<Plan> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = Some(u32::from_be_bytes(length)).filter(|length| *length <= MAX_PLAN);
    let length = length.ok_or_else(|| io::Error::other("the plan is too long"))?;
    let mut json = Vec::new();
    input.take(length.into()).read_to_end(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

fn write(merged: &Merged, output: impl Write, spool: File) -> io::Result<()> {
    let mut out = Builder::new(BufWriter::with_capacity(CHUNK, output));
    let mut spool = BufReader::with_capacity(CHUNK, spool);
    // The first path of each content; the others are hard links to it.
    let mut written: HashMap<usize, PathBuf> = HashMap::new();
    for (path, entry) in merged.entries() {
        let path = PathBuf::from(path.as_os_str());
        match &entry.kind {
            Kind::Folder => out.append_data(&mut header(entry, EntryType::Directory, 0), &path, io::empty())?,
            Kind::Symlink(text) => {
                out.append_link(&mut header(entry, EntryType::Symlink, 0), &path, OsStr::from_bytes(text))?;
            }
            Kind::File(content) => {
                if let Some(first) = written.get(&content.id) {
                    out.append_link(&mut header(entry, EntryType::Link, 0), &path, first)?;
                    continue;
                }
                spool.seek(SeekFrom::Start(content.offset))?;
                let mut header = header(entry, EntryType::Regular, content.length);
                out.append_data(&mut header, &path, (&mut spool).take(content.length))?;
                written.insert(content.id, path);
            }
        }
    }
    out.into_inner()?.flush()
}

fn header(entry: &Entry, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(entry.mode);
    header.set_uid(entry.uid);
    header.set_gid(entry.gid);
    // What squashfs can hold.
    header.set_mtime(entry.modified.min(u32::MAX.into()));
    header.set_size(size);
    header
}
