//! Texts that grow: a build's output, a release phase's.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

/// The most bytes of one output; what comes later is dropped, and its end says how much.
const LIMIT: u64 = 64 * 1024 * 1024;
/// The most bytes a reader is given at a time.
const PIECE: usize = 64 * 1024;

/// Whether an output has ended; sent anew, unchanged, with every piece of text.
type Ended = bool;

type Live = Arc<Mutex<HashMap<String, watch::Sender<Ended>>>>;

/// The folder of outputs; clones share it.
#[derive(Debug, Clone)]
pub struct Outputs {
    folder: PathBuf,
    live: Live,
}

impl Outputs {
    /// Opens or makes the folder.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), live: Live::default() })
    }

    /// Begins or goes on with an output; `name` is an id. What an earlier process wrote stays.
    pub fn write(&self, name: &str) -> io::Result<Output> {
        // Before the file is there: from now on it is not deleted.
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let file = OpenOptions::new().append(true).create(true).open(self.part(name))?;
        let bytes = file.metadata()?.len();
        let progress = live.entry(name.to_owned()).or_insert_with(|| watch::channel(false).0).clone();
        drop(live);
        progress.send_replace(false);
        Ok(Output { file, bytes, dropped: 0, progress, name: name.to_owned(), place: self.clone() })
    }

    /// Reads an output from its beginning, waiting for more until it ends. One that no process writes ends where it
    /// stands.
    pub fn read(&self, name: &str) -> io::Result<Reader> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner).get(name).map(watch::Sender::subscribe);
        let file = File::open(self.part(name)).or_else(|_| File::open(self.folder.join(name)))?;
        Ok(Reader { file, at: 0, live })
    }

    /// The names of all outputs that nobody writes.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            names.push(name.strip_suffix(".part").map_or(name.clone(), str::to_owned));
        }
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|name| !live.contains_key(name));
        Ok(names)
    }

    /// Deletes an output, unless somebody writes it, and answers its bytes. Whoever reads it reads on.
    pub fn remove(&self, name: &str) -> io::Result<u64> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if live.contains_key(name) {
            return Ok(0);
        }
        let mut bytes = 0;
        for path in [self.part(name), self.folder.join(name)] {
            if let Ok(about) = fs::metadata(&path) {
                fs::remove_file(&path)?;
                bytes += about.len();
            }
        }
        Ok(bytes)
    }

    fn part(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.part"))
    }
}

/// The writing end of an output.
#[derive(Debug)]
pub struct Output {
    file: File,
    bytes: u64,
    dropped: u64,
    progress: watch::Sender<Ended>,
    name: String,
    place: Outputs,
}

impl Output {
    /// Adds text. A disk that fails loses the text, not the work that prints it.
    pub fn append(&mut self, text: &[u8]) {
        if self.bytes + text.len() as u64 > LIMIT {
            self.dropped += text.len() as u64;
            return;
        }
        match self.file.write_all(text) {
            Ok(()) => self.bytes += text.len() as u64,
            Err(error) => {
                tracing::error!(%error, output = self.name, "could not keep an output");
                self.dropped += text.len() as u64;
            }
        }
        self.progress.send_replace(false);
    }

    /// Whether `text` is the last that was written, by this process or an earlier one.
    pub fn ends_with(&self, text: &[u8]) -> io::Result<bool> {
        let Some(from) = self.bytes.checked_sub(text.len() as u64) else { return Ok(false) };
        let mut file = File::open(self.place.part(&self.name))?;
        file.seek(SeekFrom::Start(from))?;
        let mut last = Vec::with_capacity(text.len());
        file.read_to_end(&mut last)?;
        Ok(last == text)
    }

    /// Ends the output: its readers end once they have read all of it.
    pub fn end(mut self) {
        if self.dropped > 0 {
            let note = format!("\n !     {} bytes of output were dropped here\n", self.dropped);
            // A note that cannot be written either changes nothing more.
            drop(self.file.write_all(note.as_bytes()));
        }
        if let Err(error) = fs::rename(self.place.part(&self.name), self.place.folder.join(&self.name)) {
            tracing::error!(%error, output = self.name, "could not mark an output as ended");
        }
        self.place.live.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
        self.progress.send_replace(true);
    }
}

/// The reading end of an output.
#[derive(Debug)]
pub struct Reader {
    file: File,
    at: u64,
    live: Option<watch::Receiver<Ended>>,
}

impl Reader {
    /// The next piece, at most 64 KiB; nothing at the end.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let ended = self.live.as_mut().map(|live| *live.borrow_and_update());
            let mut piece = vec![0; PIECE];
            self.file.seek(SeekFrom::Start(self.at))?;
            let count = self.file.read(&mut piece)?;
            if count > 0 {
                piece.truncate(count);
                self.at += count as u64;
                return Ok(Some(piece.into()));
            }
            match (&mut self.live, ended) {
                (Some(live), Some(false)) => {
                    if live.changed().await.is_err() {
                        self.live = None;
                    }
                }
                _ => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(mut reader: Reader) -> String {
        let mut text = vec![];
        while let Some(piece) = reader.next().await.unwrap() {
            text.extend_from_slice(&piece);
        }
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn a_reader_follows_to_the_end_and_a_late_one_reads_all() {
        let folder = tempfile::tempdir().unwrap();
        let outputs = Outputs::open(folder.path()).unwrap();
        let mut output = outputs.write("one").unwrap();
        output.append(b"a\n");
        let follower = tokio::spawn(all(outputs.read("one").unwrap()));
        tokio::task::yield_now().await;
        output.append(b"b\n");
        output.end();
        assert_eq!(follower.await.unwrap(), "a\nb\n");
        assert_eq!(all(outputs.read("one").unwrap()).await, "a\nb\n");
        assert!(outputs.read("two").is_err());
    }

    #[test]
    fn an_output_is_deleted_unless_somebody_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let outputs = Outputs::open(folder.path()).unwrap();
        let mut ended = outputs.write("ended").unwrap();
        ended.append(b"abc");
        ended.end();
        let _under_way = outputs.write("under way").unwrap();
        fs::write(folder.path().join("cut off.part"), b"ab").unwrap();
        let mut names = outputs.names().unwrap();
        names.sort();
        assert_eq!(names, ["cut off", "ended"]);
        let freed: Vec<u64> = ["ended", "under way", "cut off"].map(|name| outputs.remove(name).unwrap()).to_vec();
        assert_eq!(freed, [3, 0, 2]);
        assert!(outputs.names().unwrap().is_empty() && outputs.read("under way").is_ok());
    }

    #[tokio::test]
    async fn an_output_cut_off_goes_on_where_it_stood() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = Outputs::open(folder.path()).unwrap().write("one").unwrap();
        output.append(b"a\n");
        drop(output);
        let outputs = Outputs::open(folder.path()).unwrap();
        assert_eq!(all(outputs.read("one").unwrap()).await, "a\n");
        let mut output = outputs.write("one").unwrap();
        assert!(output.ends_with(b"a\n").unwrap() && !output.ends_with(b"aa\n").unwrap());
        output.append(b"b\n");
        assert!(output.ends_with(b"\nb\n").unwrap() && !output.ends_with(b"a\n").unwrap());
        output.end();
        assert_eq!(all(outputs.read("one").unwrap()).await, "a\nb\n");
    }
}
