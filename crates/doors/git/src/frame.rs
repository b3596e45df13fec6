//! What the pre-receive hook and control say to each other, over two pipes.
//!
//! ```text
//! frame := kind (1 byte)  length (u32, big-endian, at most 256 KiB)  body
//!
//! hook → control (3)                          control → hook (4)
//! U  JSON: Updates, once, first               P  text for the one who pushes
//! T  a piece of the source's tar              A  JSON: Archive: send this commit's tree
//! E  JSON: Archived, after the last T         V  one byte: 1 the push is taken, 0 it is not; the last frame
//! F  text: why the tree cannot be sent
//! ```
//!
//! The hook runs beside hostile packs, so control treats what it says as a stranger's: bounded, and worth no more than
//! a source the pusher could have sent anyway. Either side ending without its last frame ends the push unaccepted.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The largest body of a frame.
pub(crate) const LIMIT: usize = 256 * 1024;
/// The largest piece of a tar or text that is put into one frame.
pub(crate) const PIECE: usize = 64 * 1024;

/// One of the kinds above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Updates,
    Tar,
    Archived,
    Failed,
    Print,
    Archive,
    Verdict,
}

const KINDS: [(Kind, u8); 7] = [
    (Kind::Updates, b'U'),
    (Kind::Tar, b'T'),
    (Kind::Archived, b'E'),
    (Kind::Failed, b'F'),
    (Kind::Print, b'P'),
    (Kind::Archive, b'A'),
    (Kind::Verdict, b'V'),
];

/// The references a push wants to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Updates(pub(crate) Vec<Update>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Update {
    /// Object it has; zeros if it is new.
    pub(crate) old: String,
    /// Object it shall have; zeros if it is deleted.
    pub(crate) new: String,
    /// `refs/heads/main`.
    pub(crate) name: String,
}

/// The order to send a commit's tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Archive {
    /// The commit.
    pub(crate) commit: String,
    /// The most bytes of files.
    pub(crate) limit_bytes: u64,
}

/// What the tree was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Archived {
    /// The first line of the commit's message.
    pub(crate) subject: String,
    /// Paths of submodules, which are not in the tar; at most ten.
    pub(crate) submodules: Vec<String>,
}

fn head(kind: Kind, length: usize) -> io::Result<[u8; 5]> {
    let letter = KINDS.iter().find(|(one, _)| *one == kind).map_or(0, |(_, letter)| *letter);
    let length = u32::try_from(length).ok().filter(|length| *length as usize <= LIMIT).ok_or_else(bad)?;
    let [a, b, c, d] = length.to_be_bytes();
    Ok([letter, a, b, c, d])
}

fn parse_head([letter, length @ ..]: [u8; 5]) -> io::Result<(Kind, usize)> {
    let kind = KINDS.iter().find(|(_, one)| *one == letter).map(|(kind, _)| *kind).ok_or_else(bad)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > LIMIT { Err(bad()) } else { Ok((kind, length)) }
}

fn bad() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a frame between hook and control is malformed")
}

/// The hook's way to write a frame.
pub(crate) fn write(pipe: &mut impl Write, kind: Kind, body: &[u8]) -> io::Result<()> {
    pipe.write_all(&head(kind, body.len())?)?;
    pipe.write_all(body)
}

/// The hook's way to read a frame.
pub(crate) fn read(pipe: &mut impl Read) -> io::Result<(Kind, Vec<u8>)> {
    let mut start = [0; 5];
    pipe.read_exact(&mut start)?;
    let (kind, length) = parse_head(start)?;
    let mut body = vec![0; length];
    pipe.read_exact(&mut body)?;
    Ok((kind, body))
}

/// Control's way to write a frame.
pub(crate) async fn send(pipe: &mut (impl AsyncWrite + Unpin), kind: Kind, body: &[u8]) -> io::Result<()> {
    pipe.write_all(&head(kind, body.len())?).await?;
    pipe.write_all(body).await?;
    pipe.flush().await
}

/// Control's way to read a frame.
pub(crate) async fn receive(pipe: &mut (impl AsyncRead + Unpin)) -> io::Result<(Kind, Vec<u8>)> {
    let mut start = [0; 5];
    pipe.read_exact(&mut start).await?;
    let (kind, length) = parse_head(start)?;
    let mut body = vec![0; length];
    pipe.read_exact(&mut body).await?;
    Ok((kind, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_sides_read_what_the_other_writes() {
        for (kind, _) in KINDS {
            let mut bytes = Vec::new();
            write(&mut bytes, kind, b"body").unwrap();
            assert_eq!(receive(&mut bytes.as_slice()).await.unwrap(), (kind, b"body".to_vec()));
            let mut sent = Vec::new();
            send(&mut sent, kind, b"body").await.unwrap();
            assert_eq!(sent, bytes);
            assert_eq!(read(&mut sent.as_slice()).unwrap(), (kind, b"body".to_vec()));
        }
    }

    #[test]
    fn nonsense_is_refused_without_being_read() {
        assert!(read(&mut [b'U', 0, 0, 0].as_slice()).is_err());
        assert!(read(&mut [b'X', 0, 0, 0, 0].as_slice()).is_err());
        assert!(read(&mut [b'T', 0xff, 0xff, 0xff, 0xff].as_slice()).is_err());
        assert!(write(&mut Vec::new(), Kind::Tar, &vec![0; LIMIT + 1]).is_err());
    }
}
