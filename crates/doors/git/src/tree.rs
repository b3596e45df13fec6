//! A commit's tree as a tar, exactly as it is recorded.
//!
//! Not `git archive`: that honours `export-ignore` and `export-subst` of the pushed tree, and a deploy does not.
//! Files and links come straight out of the object store; no filter and no attribute of the tree has a say.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tar::{Builder, EntryType, Header};

use crate::frame::Archived;

/// How many submodules are named.
const SUBMODULES: usize = 10;
/// The longest target of a symbolic link.
const LINK: u64 = 4096;
/// The longest line git writes about an object or an entry of a tree.
const LINE: u64 = 16 * 1024;

/// Writes the tree of `commit` to `out` as a tar, at most `limit_bytes` of files.
pub(crate) fn write(commit: &str, limit_bytes: u64, out: impl Write) -> io::Result<Archived> {
    let (time, subject) = about(commit)?;
    let mut list = git(&["ls-tree", "-r", "-z", "--full-tree", commit], Stdio::null())?;
    let mut objects = Objects::open()?;
    let mut tar = Builder::new(BufWriter::with_capacity(crate::frame::PIECE, out));
    let mut left = limit_bytes;
    let mut submodules = Vec::new();
    let mut entries = BufReader::new(list.stdout.take().ok_or_else(lost)?);
    while let Some(line) = until(&mut entries, 0)? {
        let entry = Entry::parse(&line).ok_or_else(lost)?;
        if entry.mode == Mode::Submodule {
            submodules.push(String::from_utf8_lossy(entry.path).into_owned());
            continue;
        }
        append(&mut tar, &mut objects, &entry, time, &mut left)?;
    }
    succeeded(list)?;
    objects.close()?;
    tar.into_inner()?.flush()?;
    submodules.truncate(SUBMODULES);
    Ok(Archived { subject, submodules })
}

fn append(
    tar: &mut Builder<impl Write>,
    objects: &mut Objects,
    entry: &Entry<'_>,
    time: u64,
    left: &mut u64,
) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(entry.path));
    let size = objects.ask(entry.object)?;
    *left = left.checked_sub(size).ok_or_else(|| refuse("the source has more files than a deploy may have"))?;
    let mut header = Header::new_gnu();
    header.set_mtime(time);
    if entry.mode == Mode::Link {
        let target = objects.text(size)?;
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        tar.append_link(&mut header, path, std::ffi::OsStr::from_bytes(&target))
    } else {
        header.set_entry_type(EntryType::Regular);
        header.set_mode(if entry.mode == Mode::Program { 0o755 } else { 0o644 });
        header.set_size(size);
        tar.append_data(&mut header, path, objects.content(size))?;
        objects.end()
    }
}

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    File,
    Program,
    Link,
    Submodule,
}

/// A line of `git ls-tree -z`: `MODE TYPE OBJECT\tPATH`.
struct Entry<'a> {
    mode: Mode,
    object: &'a str,
    path: &'a [u8],
}

impl<'a> Entry<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let mut words = std::str::from_utf8(line.get(..tab)?).ok()?.split(' ');
        let mode = match words.next()? {
            "100755" => Mode::Program,
            "120000" => Mode::Link,
            "160000" => Mode::Submodule,
            _ => Mode::File,
        };
        Some(Self { mode, object: words.nth(1)?, path: line.get(tab + 1..)? })
    }
}

/// `git cat-file --batch`: an object's name in, its head and content out.
struct Objects {
    child: Child,
    names: ChildStdin,
    contents: BufReader<ChildStdout>,
}

impl Objects {
    fn open() -> io::Result<Self> {
        let mut child = git(&["cat-file", "--batch"], Stdio::piped())?;
        let names = child.stdin.take().ok_or_else(lost)?;
        let contents = BufReader::with_capacity(128 * 1024, child.stdout.take().ok_or_else(lost)?);
        Ok(Self { child, names, contents })
    }

    /// Asks for a blob; answers its size. Its content and [`Objects::end`] come next.
    fn ask(&mut self, object: &str) -> io::Result<u64> {
        writeln!(self.names, "{object}")?;
        let line = until(&mut self.contents, b'\n')?.ok_or_else(lost)?;
        let line = std::str::from_utf8(&line).map_err(|_| lost())?;
        let mut words = line.split(' ').skip(1);
        match (words.next(), words.next().and_then(|size| size.parse().ok())) {
            (Some("blob"), Some(size)) => Ok(size),
            _ => Err(refuse("the pushed tree names an object that is not there")),
        }
    }

    fn content(&mut self, size: u64) -> impl Read {
        (&mut self.contents).take(size)
    }

    fn text(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > LINK {
            return Err(refuse("the pushed tree holds a symbolic link without a usable target"));
        }
        let mut bytes = Vec::new();
        self.content(size).read_to_end(&mut bytes)?;
        self.end()?;
        Ok(bytes)
    }

    /// Reads the line end behind a content.
    fn end(&mut self) -> io::Result<()> {
        let mut end = [0];
        self.contents.read_exact(&mut end)
    }

    fn close(self) -> io::Result<()> {
        let Self { child, names, contents } = self;
        drop((names, contents));
        succeeded(child)
    }
}

/// When the commit was made, and the first line of its message.
fn about(commit: &str) -> io::Result<(u64, String)> {
    let show = ["show", "--no-patch", "--no-show-signature", "--no-notes", "--format=%ct%n%s", commit];
    let mut child = git(&show, Stdio::null())?;
    let mut text = Vec::new();
    child.stdout.take().ok_or_else(lost)?.take(LINE).read_to_end(&mut text)?;
    succeeded(child)?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines();
    let time = lines.next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
    let subject = lines.next().unwrap_or_default();
    Ok((time, subject.chars().filter(|letter| !letter.is_control()).take(200).collect()))
}

/// Git in the repository the hook was called in; where its objects are, pushed ones in quarantine included, stands in
/// the environment git gave the hook.
fn git(arguments: &[&str], stdin: Stdio) -> io::Result<Child> {
    Command::new("git").args(arguments).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()
}

fn succeeded(mut child: Child) -> io::Result<()> {
    if child.wait()?.success() { Ok(()) } else { Err(refuse("git could not read the pushed commit")) }
}

/// The bytes up to `end`, without it; nothing at the end of the stream.
fn until(reader: &mut impl BufRead, end: u8) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(LINE).read_until(end, &mut bytes)?;
    match bytes.pop() {
        None => Ok(None),
        Some(last) if last == end => Ok(Some(bytes)),
        Some(_) => Err(refuse("the pushed tree holds a name that is too long")),
    }
}

fn lost() -> io::Error {
    refuse("git answered what it never does")
}

fn refuse(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
