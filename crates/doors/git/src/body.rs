//! A request's body on its way into git: bounded, and unzipped where the client zipped it.

use std::io::{self, Write};
use std::time::Duration;

use axum::body::Body;
use flate2::write::GzDecoder;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::pushes::{Arriving, Kept};

/// How long a client may send nothing while it holds one of the places for git.
const SILENCE: Duration = Duration::from_mins(2);
/// How much zipped input is unzipped at a time: 4 KiB become 4 MiB at the very worst.
const SLICE: usize = 4 * 1024;

/// Why a body did not arrive whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the client stopped sending")]
    Client(#[source] axum::Error),
    #[error("the client sent nothing for {} s", SILENCE.as_secs())]
    Stalled,
    #[error("the body has more than {0} bytes")]
    TooLarge(u64),
    #[error("the body is not what its Content-Encoding says")]
    Encoding(#[source] io::Error),
    #[error("git stopped reading")]
    Git(#[source] io::Error),
}

/// Copies a body to git, at most `limit` bytes before and after unzipping, and beside it to a file, if one is given.
/// What cannot be kept is copied all the same.
pub(crate) async fn copy(
    body: Body,
    zipped: bool,
    limit: u64,
    git: &mut (impl AsyncWrite + Unpin),
    keep: Option<Arriving>,
) -> Result<Option<Kept>, Error> {
    let (mut body, mut keep) = (body, Beside(keep));
    let mut unzip = zipped.then(|| GzDecoder::new(Vec::new()));
    let (mut received, mut given) = (0, 0);
    while let Some(frame) = timeout(SILENCE, body.frame()).await.map_err(|_| Error::Stalled)? {
        let Ok(data) = frame.map_err(Error::Client)?.into_data() else { continue };
        received += data.len() as u64;
        within(received, limit)?;
        for slice in data.chunks(SLICE) {
            let plain = match &mut unzip {
                None => slice.to_vec(),
                Some(unzip) => {
                    unzip.write_all(slice).map_err(Error::Encoding)?;
                    std::mem::take(unzip.get_mut())
                }
            };
            given += plain.len() as u64;
            within(given, limit)?;
            // Before git has it: once git's hook speaks, all that it was given is kept.
            keep.write(&plain);
            git.write_all(&plain).await.map_err(Error::Git)?;
        }
    }
    if let Some(unzip) = unzip {
        let rest = unzip.finish().map_err(Error::Encoding)?;
        within(given + rest.len() as u64, limit)?;
        keep.write(&rest);
        git.write_all(&rest).await.map_err(Error::Git)?;
    }
    git.flush().await.map_err(Error::Git)?;
    Ok(keep.finish())
}

/// A file that gets the same bytes for as long as it can be written.
struct Beside(Option<Arriving>);

impl Beside {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(Err(error)) = self.0.as_mut().map(|keep| keep.write(bytes)) {
            tracing::warn!(%error, "could not keep a push; its branch will not move if it is cut off");
            self.0 = None;
        }
    }

    fn finish(self) -> Option<Kept> {
        let finished = self.0.map(Arriving::finish)?;
        finished.inspect_err(|error| tracing::warn!(%error, "could not keep a push")).ok()
    }
}

fn within(bytes: u64, limit: u64) -> Result<(), Error> {
    if bytes > limit { Err(Error::TooLarge(limit)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zip.write_all(bytes).unwrap();
        zip.finish().unwrap()
    }

    #[tokio::test]
    async fn plain_and_zipped_bodies_arrive_as_they_were() {
        for (body, zipped) in [(b"0032want".to_vec(), false), (gzip(b"0032want"), true)] {
            let mut git = Vec::new();
            copy(Body::from(body), zipped, 100, &mut git, None).await.unwrap();
            assert_eq!(git, b"0032want");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_falls_silent_is_not_waited_for() {
        let body = Body::from_stream(futures_util::stream::pending::<io::Result<Vec<u8>>>());
        let error = copy(body, false, 100, &mut Vec::new(), None).await.unwrap_err();
        assert!(matches!(error, Error::Stalled), "{error}");
    }

    #[tokio::test]
    async fn a_bomb_a_flood_and_a_lie_are_refused() {
        let bomb = gzip(&vec![0; 10_000_000]);
        let error = copy(Body::from(bomb), true, 1_000_000, &mut Vec::new(), None).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge(_)));
        let error = copy(Body::from(vec![0; 101]), false, 100, &mut Vec::new(), None).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge(_)));
        let error = copy(Body::from("plain"), true, 100, &mut Vec::new(), None).await.unwrap_err();
        assert!(matches!(error, Error::Encoding(_)));
        let mut cut = gzip(b"0032want");
        cut.truncate(12);
        assert!(copy(Body::from(cut), true, 100, &mut Vec::new(), None).await.is_err());
    }
}
