//! One connection: an ordered sender and receiver of frames.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::{MAX_FDS, MAX_FRAME};

/// Why a connection ended or a frame could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket failed.
    #[error("the socket between two roles failed")]
    Io(#[from] io::Error),
    /// The peer announced or was about to be sent a frame outside 1 byte to 1 MiB.
    #[error("a frame of {0} bytes is outside 1 to {MAX_FRAME}")]
    Size(usize),
    /// The body is not what this side expects.
    #[error("a frame's body is not of the expected shape")]
    Body(#[from] serde_json::Error),
    /// More descriptors than a frame carries.
    #[error("a frame carries at most {MAX_FDS} descriptors, not {0}")]
    TooManyFds(usize),
}

/// Who is at the other end, as the kernel saw it at connect time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Process id.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Both directions of a connection.
#[derive(Debug)]
pub struct Connection {
    /// The sending half.
    pub sender: Sender,
    /// The receiving half.
    pub receiver: Receiver,
    peer: Peer,
}

impl Connection {
    /// Wraps a connected stream.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        let credentials = rustix::net::sockopt::socket_peercred(&stream)?;
        let peer = Peer {
            pid: credentials.pid.as_raw_nonzero().get(),
            uid: credentials.uid.as_raw(),
            gid: credentials.gid.as_raw(),
        };
        let stream = Arc::new(stream);
        Ok(Self {
            sender: Sender { stream: Arc::clone(&stream) },
            receiver: Receiver { stream, bytes: Vec::new(), fds: VecDeque::new() },
            peer,
        })
    }

    /// Connects to a socket's path.
    pub async fn connect(path: &std::path::Path) -> io::Result<Self> {
        Self::new(UnixStream::connect(path).await?)
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.peer
    }
}

/// Sends frames in order. Not for concurrent use: the owner serialises (`&mut`).
#[derive(Debug)]
pub struct Sender {
    stream: Arc<UnixStream>,
}

impl Sender {
    /// Sends one message with its descriptors. Cancelling it half-way leaves the connection unusable.
    pub async fn send<T: Serialize>(&mut self, message: &T, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        if fds.len() > MAX_FDS {
            return Err(Error::TooManyFds(fds.len()));
        }
        let mut frame = vec![0; 4];
        serde_json::to_writer(&mut frame, message)?;
        let body = frame.len() - 4;
        if body > MAX_FRAME {
            return Err(Error::Size(body));
        }
        let length = u32::try_from(body).map_err(|_| Error::Size(body))?;
        frame.splice(..4, length.to_be_bytes());
        let mut sent = self.send_some(&frame, fds).await?;
        while sent < frame.len() {
            sent += self.send_some(frame.get(sent..).unwrap_or_default(), &[]).await?;
        }
        Ok(())
    }

    async fn send_some(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        loop {
            self.stream.writable().await?;
            let attempt = self.stream.try_io(Interest::WRITABLE, || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                if !fds.is_empty() {
                    control.push(SendAncillaryMessage::ScmRights(fds));
                }
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                Ok(rustix::net::sendmsg(self.stream.as_fd(), &[IoSlice::new(bytes)], &mut control, flags)?)
            });
            match attempt {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }
}

/// Receives frames in order. [`Receiver::receive`] may be cancelled: what arrived is kept.
#[derive(Debug)]
pub struct Receiver {
    stream: Arc<UnixStream>,
    bytes: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Receiver {
    /// The next message with the descriptors that came with it; `None` when the peer closed between frames.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<Option<(T, Vec<OwnedFd>)>, Error> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(Some((serde_json::from_slice(&frame)?, self.fds.drain(..).collect())));
            }
            if self.fill().await? == 0 {
                return if self.bytes.is_empty() {
                    Ok(None)
                } else {
                    Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
                };
            }
        }
    }

    fn take_frame(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let Some(head) = self.bytes.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*head) as usize;
        if !(1..=MAX_FRAME).contains(&length) {
            return Err(Error::Size(length));
        }
        if self.bytes.len() < 4 + length {
            return Ok(None);
        }
        let rest = self.bytes.split_off(4 + length);
        let mut frame = std::mem::replace(&mut self.bytes, rest);
        frame.drain(..4);
        Ok(Some(frame))
    }

    /// Reads once, never past the end of the frame under way, so that descriptors stay with their frame.
    async fn fill(&mut self) -> io::Result<usize> {
        let wanted = match self.bytes.first_chunk::<4>() {
            None => 4 - self.bytes.len(),
            Some(head) => (u32::from_be_bytes(*head) as usize + 4 - self.bytes.len()).min(64 * 1024),
        };
        let mut buffer = vec![0; wanted];
        loop {
            self.stream.readable().await?;
            let fds = &mut self.fds;
            let attempt = self.stream.try_io(Interest::READABLE, || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
                let mut control = RecvAncillaryBuffer::new(&mut space);
                let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
                let mut parts = [IoSliceMut::new(&mut buffer)];
                let received = rustix::net::recvmsg(self.stream.as_fd(), &mut parts, &mut control, flags)?;
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(rights) = message {
                        fds.extend(rights);
                    }
                }
                Ok(received.bytes)
            });
            match attempt {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
                Ok(count) => {
                    self.bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    return Ok(count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Connection, Connection) {
        let (one, two) = UnixStream::pair().unwrap();
        (Connection::new(one).unwrap(), Connection::new(two).unwrap())
    }

    #[tokio::test]
    async fn frames_keep_their_order_and_their_descriptors() {
        let (mut one, mut two) = pair();
        let memory = crate::seal(b"large").unwrap();
        one.sender.send(&"first", &[]).await.unwrap();
        one.sender.send(&"second", &[memory.as_fd()]).await.unwrap();
        one.sender.send(&"third", &[]).await.unwrap();
        let (text, fds): (String, _) = two.receiver.receive().await.unwrap().unwrap();
        assert_eq!((text.as_str(), fds.len()), ("first", 0));
        let (text, mut fds): (String, _) = two.receiver.receive().await.unwrap().unwrap();
        assert_eq!((text.as_str(), fds.len()), ("second", 1));
        assert_eq!(crate::unseal(fds.pop().unwrap(), 100).unwrap(), b"large");
        let (text, fds): (String, _) = two.receiver.receive().await.unwrap().unwrap();
        assert_eq!((text.as_str(), fds.len()), ("third", 0));
    }

    #[tokio::test]
    async fn a_large_frame_arrives_whole_and_a_larger_one_is_refused() {
        let (mut one, mut two) = pair();
        let text = "x".repeat(MAX_FRAME - 2);
        let receive = tokio::spawn(async move { two.receiver.receive::<String>().await.unwrap().unwrap().0 });
        one.sender.send(&text, &[]).await.unwrap();
        assert_eq!(receive.await.unwrap(), text);
        assert!(matches!(one.sender.send(&"x".repeat(MAX_FRAME), &[]).await, Err(Error::Size(_))));
    }

    #[tokio::test]
    async fn the_peer_is_known_and_its_end_is_an_end() {
        let (one, mut two) = pair();
        assert_eq!(two.peer().uid, rustix::process::getuid().as_raw());
        drop(one);
        assert!(two.receiver.receive::<String>().await.unwrap().is_none());
    }
}
