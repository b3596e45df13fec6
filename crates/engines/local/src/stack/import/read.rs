//! One layer's bytes into the tree: unpacked, counted, hashed on both sides.

use std::cell::RefCell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tar::{Archive, EntryType};
use vocabulary::Digest;

use super::child::{Layer, Problem};
use super::merged::{Entry, Kind, Merged};
use crate::images::packer::{self, Spool};
use crate::images::tree::TreePath;

/// How much is read at once.
const CHUNK: usize = 256 * 1024;
/// So much may come out of any layer, however small it is: an empty disk image shrinks a thousandfold.
const ALWAYS: u64 = 256 << 20;
/// Beyond that, so much for each byte that came in. Real layers shrink to a third, text to a tenth.
const RATIO: u64 = 60;

/// Counts what is passed over.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Devices, pipes and sockets.
    pub(super) special: usize,
}

/// Reads one layer of `input` into the tree. Its bytes are believed once both digests are right.
pub(super) fn layer(
    input: &mut impl Read,
    layer: &Layer,
    number: usize,
    merged: &mut Merged,
    spool: &mut Spool<'_>,
    left_out: &mut LeftOut,
) -> Result<(), Problem> {
    let read = |error: io::Error| Problem::Layer { number, reason: error.to_string() };
    let packed = Rc::new(RefCell::new(Counted::new(input.take(layer.size))));
    let outside = BufReader::with_capacity(CHUNK, Shared(Rc::clone(&packed)));
    let most = ALWAYS.max(layer.size.saturating_mul(RATIO)).min(spool.limit.saturating_mul(2));
    let mut inside = Counted::new(unpacked(outside).map_err(read)?.take(most + 1));
    merged.next_layer();
    let taken = take_all(&mut inside, number, merged, spool, left_out);
    // What stands behind the end of the tar is part of what was hashed.
    let drained = taken.and_then(|()| io::copy(&mut inside, &mut io::sink()).map_err(read));
    if inside.bytes > most {
        return Err(Problem::Bomb { number, packed: layer.size, most });
    }
    drained?;
    let diff_id = inside.digest();
    // The decoder holds the rest of what it read ahead; nothing may follow it unread.
    io::copy(&mut Shared(Rc::clone(&packed)), &mut io::sink()).map_err(read)?;
    let (bytes, digest) = {
        let packed = packed.borrow();
        (packed.bytes, packed.digest())
    };
    if bytes != layer.size {
        return Err(Problem::Layer { number, reason: format!("it ended after {bytes} of {} bytes", layer.size) });
    }
    let same = |expected: &Option<Digest>, found: &Digest| expected.as_ref().is_none_or(|expected| expected == found);
    if !same(&layer.digest, &digest) || !same(&layer.diff_id, &diff_id) {
        return Err(Problem::Digest { number });
    }
    Ok(())
}

/// What stands in front tells how it is packed; what it is called does not.
fn unpacked<'a>(mut packed: BufReader<impl Read + 'a>) -> io::Result<Box<dyn Read + 'a>> {
    let head = io::BufRead::fill_buf(&mut packed)?;
    if head.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(MultiGzDecoder::new(packed)));
    }
    if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Ok(Box::new(zstd::stream::read::Decoder::with_buffer(packed)?));
    }
    Ok(Box::new(packed))
}

fn take_all(
    input: &mut impl Read,
    number: usize,
    merged: &mut Merged,
    spool: &mut Spool<'_>,
    left_out: &mut LeftOut,
) -> Result<(), Problem> {
    let read = |error: io::Error| Problem::Layer { number, reason: error.to_string() };
    let mut archive = Archive::new(input);
    for entry in archive.entries().map_err(read)? {
        take(entry.map_err(read)?, number, merged, spool, left_out)?;
    }
    Ok(())
}

fn take(
    mut entry: tar::Entry<'_, impl Read>,
    number: usize,
    merged: &mut Merged,
    spool: &mut Spool<'_>,
    left_out: &mut LeftOut,
) -> Result<(), Problem> {
    let read = |error: io::Error| Problem::Layer { number, reason: error.to_string() };
    let kind = entry.header().entry_type();
    let path = relative(&entry.path_bytes())?;
    let kind = match kind {
        EntryType::Link => {
            let target = relative(&entry.link_name_bytes().unwrap_or_default())?;
            return Ok(merged.link(&path, &target)?);
        }
        EntryType::Directory => Kind::Folder,
        // Tar before 1988 wrote folders as files whose name ends in a slash.
        EntryType::Regular if entry.path_bytes().ends_with(b"/") => Kind::Folder,
        EntryType::Symlink => Kind::Symlink(packer::link_text(&entry)?),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            Kind::File(spool.take(&mut entry, false).map_err(|error| match error {
                packer::Error::Read(error) => read(error),
                error => error.into(),
            })?)
        }
        EntryType::Char | EntryType::Block | EntryType::Fifo => {
            left_out.special += 1;
            return Ok(());
        }
        _ => return Ok(()),
    };
    let header = entry.header();
    let (uid, gid) = (header.uid().map_err(read)?, header.gid().map_err(read)?);
    let entry = Entry::new(kind, header.mode().map_err(read)?, (uid, gid), header.mtime().map_err(read)?);
    Ok(merged.take(&path, entry)?)
}

/// Some builders write paths from the root.
fn relative(path: &[u8]) -> Result<TreePath, Problem> {
    let slashes = path.iter().take_while(|byte| **byte == b'/').count();
    Ok(TreePath::parse(path.get(slashes..).unwrap_or_default())?)
}

/// Counts and hashes what is read through it.
struct Counted<R> {
    input: R,
    bytes: u64,
    hash: Sha256,
}

impl<R> Counted<R> {
    fn new(input: R) -> Self {
        Self { input, bytes: 0, hash: Sha256::new() }
    }

    fn digest(&self) -> Digest {
        Digest::from_bytes(&self.hash.clone().finalize().into())
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        self.bytes += count as u64;
        Ok(count)
    }
}

/// A reader that is still there when the decoder around it is gone.
struct Shared<R>(Rc<RefCell<R>>);

impl<R: Read> Read for Shared<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}
