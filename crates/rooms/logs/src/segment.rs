//! The files of one app's log.
//!
//! ```text
//! FOLDER/APP-ID/00000000000000000001.log    named by the id of its first line
//!               00000000000000001501.log
//! ```
//!
//! A file is the eight bytes `SLIPLOG1`, a record of places, and up to 1,500 records of lines with growing ids
//! ([`record`](crate::record)). Lines are appended to the newest; there are at most two, so that the newest 1,500 are
//! always there. Nothing is synced: a crash of the machine may cost the last lines, never the form, because a torn
//! end is cut off when the log is opened.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use loglines::LogLine;

use crate::HISTORY;
use crate::record::{self, Body, Entry, Place, Run};

const MAGIC: &[u8; 8] = b"SLIPLOG1";
/// How many bytes are read at once.
const CHUNK: usize = 256 * 1024;
/// How many bytes wait at most to be written.
const BUFFER: usize = 256 * 1024;
/// How many runs' places are remembered; far more than an app has at once.
const RUNS: usize = 512;

/// One app's log, for its one writer. It holds no open file.
#[derive(Debug)]
pub(crate) struct AppLog {
    folder: PathBuf,
    /// First ids of the files, oldest first.
    segments: VecDeque<u64>,
    /// The id of the next line.
    next: u64,
    /// Bytes of the newest file that are written.
    written: u64,
    buffer: Vec<u8>,
    /// How far each run's ring was read. Ids of runs sort by age.
    places: BTreeMap<Run, u64>,
}

/// What a reader needs to know: the files, and the newest line that is in them.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) folder: PathBuf,
    pub(crate) segments: Vec<u64>,
    pub(crate) newest: u64,
}

/// The file with this first id.
pub(crate) fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.log"))
}

impl AppLog {
    /// Opens the log in `folder`, which need not exist, cutting off a torn end.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        let mut segments = names(&folder)?;
        while segments.len() > 2 {
            remove(&folder, segments.pop_front())?;
        }
        let mut log = Self { folder, segments, next: 1, written: 0, buffer: Vec::new(), places: BTreeMap::new() };
        // A file cut before its first record says nothing; the one before it is then the newest.
        while let Some(newest) = log.segments.back().copied() {
            if log.recover(newest)? {
                break;
            }
            remove(&log.folder, log.segments.pop_back())?;
            log.next = log.next.max(newest);
        }
        Ok(log)
    }

    /// Reads the newest file; whether it has any whole record.
    fn recover(&mut self, first: u64) -> io::Result<bool> {
        let file = OpenOptions::new().read(true).write(true).open(path(&self.folder, first))?;
        let mut newest = None;
        let end = scan(&file, 0, |_, entry| {
            newest = Some(entry.id);
            match entry.body {
                Body::Places(places) => self.places.extend(record::read_places(places).map(|p| (p.run, p.sequence))),
                Body::Line { .. } => self.places.extend(entry.place.map(|p| (p.run, p.sequence))),
            }
            ControlFlow::Continue(())
        })?;
        let Some(newest) = newest else { return Ok(false) };
        file.set_len(end)?;
        self.written = end;
        self.next = self.next.max(newest + 1);
        Ok(true)
    }

    /// How far a run's ring has been read.
    pub(crate) fn place(&self, run: Run) -> u64 {
        self.places.get(&run).copied().unwrap_or(0)
    }

    /// Adds a line, to be written with the next flush.
    pub(crate) fn append(&mut self, line: &LogLine, text: &str, place: Option<Place>) -> io::Result<()> {
        let full = |first: &u64| self.next - first >= HISTORY as u64;
        if self.segments.back().is_none_or(full) {
            self.roll()?;
        } else if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        let body = Body::Line { source: line.source, name: &line.dyno, text };
        Entry { id: self.next, time: line.time.micros(), place, body }.write(&mut self.buffer);
        self.next += 1;
        if let Some(Place { run, sequence }) = place {
            self.places.insert(run, sequence);
        }
        Ok(())
    }

    /// Begins a new file and deletes the one before the last.
    fn roll(&mut self) -> io::Result<()> {
        self.flush()?;
        while self.places.len() > RUNS {
            self.places.pop_first();
        }
        let places = record::write_places(self.places.iter().map(|(&run, &sequence)| Place { run, sequence }));
        self.buffer.extend_from_slice(MAGIC);
        let body = Body::Places(&places);
        Entry { id: self.next - 1, time: 0, place: None, body }.write(&mut self.buffer);
        self.written = 0;
        self.segments.push_back(self.next);
        while self.segments.len() > 2 {
            remove(&self.folder, self.segments.pop_front())?;
        }
        Ok(())
    }

    /// Writes what waits. If that fails (a full disk), the lines that waited are lost, and readers find a gap.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let Some(newest) = self.segments.back().copied() else { return Ok(()) };
        if self.buffer.is_empty() {
            return Ok(());
        }
        let buffer = std::mem::take(&mut self.buffer);
        let written = self.write(newest, &buffer);
        if written.is_err() && self.written == 0 {
            // A file without its head is none. The one before is full, so that the next line begins another.
            self.segments.pop_back();
            drop(remove(&self.folder, Some(newest)));
        }
        written
    }

    fn write(&mut self, newest: u64, bytes: &[u8]) -> io::Result<()> {
        let path = path(&self.folder, newest);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
                options.open(&path)
            }
            opened => opened,
        }?;
        if let Err(error) = file.write_all_at(bytes, self.written) {
            // Part of it may be there; a reader must not take it for the beginning of what comes later.
            file.set_len(self.written)?;
            return Err(error);
        }
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// What readers may read.
    pub(crate) fn view(&self) -> View {
        View { folder: self.folder.clone(), segments: self.segments.iter().copied().collect(), newest: self.next - 1 }
    }
}

fn names(folder: &Path) -> io::Result<VecDeque<u64>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(VecDeque::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_suffix(".log")?.parse::<u64>().ok()));
    }
    names.sort_unstable();
    Ok(names.into())
}

fn remove(folder: &Path, first: Option<u64>) -> io::Result<()> {
    let Some(first) = first else { return Ok(()) };
    match fs::remove_file(path(folder, first)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Hands each whole record of a file from `offset` (0: its first) on to `each`, with its offset, until that breaks.
/// Answers the offset after the last one handed out.
pub(crate) fn scan(
    file: &File,
    offset: u64,
    mut each: impl FnMut(u64, Entry<'_>) -> ControlFlow<()>,
) -> io::Result<u64> {
    let mut offset = offset;
    if offset == 0 {
        let mut magic = [0; MAGIC.len()];
        if read_some(file, &mut magic, 0)? < MAGIC.len() || &magic != MAGIC {
            return Ok(0);
        }
        offset = MAGIC.len() as u64;
    }
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = read_some(file, &mut chunk, offset)?;
        let mut rest = &chunk[..length];
        let begin = offset;
        while let Some((entry, after)) = Entry::read(rest) {
            let at = offset;
            offset += (rest.len() - after.len()) as u64;
            rest = after;
            if each(at, entry).is_break() {
                return Ok(offset);
            }
        }
        if offset == begin {
            return Ok(offset);
        }
    }
}

fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], offset + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
