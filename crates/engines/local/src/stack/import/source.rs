//! Where an image's parts lie: in a folder, or as ranges of an archive.
//!
//! A name comes out of the image itself. In a folder it is opened without following any link and without leaving the
//! folder; in an archive it is looked up.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::child::Problem;
use super::image::InvalidImage;
use super::index::{Index, Range};
use crate::images::{ImagesConfig, layer};

/// The most bytes of an archive's table of contents.
const MAX_INDEX: u64 = 4 << 20;
/// Address space of the child that reads it.
const MEMORY: u64 = 512 << 20;

/// An image's parts by name.
#[derive(Debug)]
pub(super) enum Source {
    Folder(OwnedFd),
    Archive(File, Index),
}

/// A part of an image.
#[derive(Debug)]
pub(super) struct Blob {
    file: File,
    offset: u64,
    pub(super) size: u64,
}

/// Opens what the operator named.
pub(super) fn open(path: &Path, config: &ImagesConfig) -> Result<Source, InvalidImage> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| InvalidImage::Read(error.into()))?;
    let mut file = File::from(opened);
    let about = file.metadata().map_err(InvalidImage::Read)?;
    if about.is_dir() {
        return Ok(Source::Folder(file.into()));
    }
    let mut head = [0; 4];
    let read = file.read(&mut head).map_err(InvalidImage::Read)?;
    if !about.is_file() || read < head.len() {
        return Err(InvalidImage::NoImage);
    }
    if head.starts_with(&[0x1f, 0x8b]) || head == [0x28, 0xb5, 0x2f, 0xfd] {
        return Err(InvalidImage::Packed);
    }
    file.rewind().map_err(InvalidImage::Read)?;
    let index = index(&file, config)?;
    Ok(Source::Archive(file, index))
}

/// Has the child without rights read the archive's names.
fn index(archive: &File, config: &ImagesConfig) -> Result<Index, InvalidImage> {
    let broken = |reason: String| InvalidImage::Archive(Problem::Archive(reason));
    let input = Stdio::from(archive.try_clone().map_err(InvalidImage::Read)?);
    let mut child =
        layer::start_packer(config, &["index"], MEMORY, input).map_err(|error| broken(error.to_string()))?;
    let (mut json, mut said) = (Vec::new(), Vec::new());
    let read = child.stdout.take().map_or(Ok(0), |output| output.take(MAX_INDEX).read_to_end(&mut json));
    let status = child.wait().map_err(InvalidImage::Read)?;
    if !status.success() {
        // Whatever can be read is all there is to tell.
        drop(child.stderr.take().map(|stderr| stderr.take(MAX_INDEX).read_to_end(&mut said)));
        let ended = |_| Problem::Archive(format!("reading it ended with {status}"));
        return Err(InvalidImage::Archive(serde_json::from_slice(&said).unwrap_or_else(ended)));
    }
    read.map_err(InvalidImage::Read)?;
    serde_json::from_slice(&json).map_err(|error| broken(error.to_string()))
}

impl Source {
    /// The part with this name; nothing if there is none.
    pub(super) fn part(&self, name: &str) -> Result<Option<Blob>, InvalidImage> {
        match self {
            Self::Folder(folder) => {
                let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
                let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
                let file = match rustix::fs::openat2(folder, name, flags, Mode::empty(), resolve) {
                    Ok(file) => File::from(file),
                    Err(rustix::io::Errno::NOENT) => return Ok(None),
                    Err(error) => return Err(InvalidImage::Part(name.to_owned(), error.into())),
                };
                let about = file.metadata().map_err(InvalidImage::Read)?;
                let plain = Some(about.len()).filter(|_| about.is_file());
                let odd = || InvalidImage::Part(name.to_owned(), io::Error::other("it is no plain file"));
                Ok(Some(Blob { file, offset: 0, size: plain.ok_or_else(odd)? }))
            }
            Self::Archive(file, index) => {
                let Some(Range { offset, size }) = index.find(name) else { return Ok(None) };
                // Opened anew, as a second reader must have a position of its own.
                let own = rustix::fs::open(
                    format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file)),
                    OFlags::RDONLY | OFlags::CLOEXEC,
                    Mode::empty(),
                );
                let file = own.map_err(|error| InvalidImage::Read(error.into()))?.into();
                Ok(Some(Blob { file, offset, size }))
            }
        }
    }
}

impl Index {
    /// A file, or what a link in its place leads to.
    fn find(&self, name: &str) -> Option<Range> {
        if let Some(range) = self.files.get(name) {
            return Some(*range);
        }
        let target = self.links.get(name)?;
        let mut path: Vec<&str> = name.split('/').collect();
        path.pop();
        for part in target.split('/') {
            match part {
                ".." => drop(path.pop()),
                "" | "." => {}
                part => path.push(part),
            }
        }
        self.files.get(&path.join("/")).copied()
    }
}

impl Blob {
    /// Its bytes, from the first.
    pub(super) fn open(&self) -> io::Result<impl Read> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(file.take(self.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_of_an_archive_leads_to_a_file_of_it_and_nowhere_else() {
        let range = Range { offset: 512, size: 9 };
        let mut index = Index::default();
        index.files.insert("one/layer.tar".to_owned(), range);
        index.links.insert("two/layer.tar".to_owned(), "../one/layer.tar".to_owned());
        index.links.insert("three/layer.tar".to_owned(), "../../../etc/shadow".to_owned());
        assert_eq!((index.find("one/layer.tar"), index.find("two/layer.tar")), (Some(range), Some(range)));
        assert_eq!((index.find("three/layer.tar"), index.find("/etc/shadow")), (None, None));
    }
}
