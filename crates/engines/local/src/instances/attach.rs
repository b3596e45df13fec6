//! Handing out the other ends of programs' streams.
//!
//! What goes through them goes between their holder and the shim: neither this process nor its end is in the way.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use engine::{Refusal, Stdio, Terminal};
use shim::{Size, ToShim};
use vocabulary::DynoId;

use super::link::Link;
use super::{Instance, Instances, State};

impl Instances {
    /// The other end of an attached instance's streams.
    pub async fn attach(&self, id: DynoId) -> Result<OwnedFd, Refusal> {
        let (instance, link) = self.running(id).await?;
        if instance.record.spec.stdio == Stdio::Logged {
            return Err(Refusal::Invalid("the output of this instance goes to its log".to_owned()));
        }
        let (ours, theirs) = pair()?;
        link.send(&ToShim::Attach, &[theirs.as_fd()]).map_err(failed)?;
        Ok(ours)
    }

    /// Runs one more program in a running instance; the other end of its streams.
    pub async fn exec(&self, id: DynoId, terminal: Option<Terminal>, launch: OwnedFd) -> Result<OwnedFd, Refusal> {
        let (_, link) = self.running(id).await?;
        let (ours, theirs) = pair()?;
        let fds = [self.shared.filter.as_fd(), launch.as_fd(), theirs.as_fd()];
        link.send(&ToShim::Exec { size: terminal.map(size) }, &fds).map_err(failed)?;
        Ok(ours)
    }

    async fn running(&self, id: DynoId) -> Result<(Arc<Instance>, Arc<Link>), Refusal> {
        let none = || Refusal::NotFound(format!("running instance {id}"));
        let instance = self.find(id).ok_or_else(none)?;
        match instance.settled().await? {
            State::Running { link, .. } => Ok((instance, link)),
            _ => Err(none()),
        }
    }
}

/// The shim's word for a terminal's size.
pub(super) fn size(terminal: Terminal) -> Size {
    Size { columns: terminal.columns, rows: terminal.rows }
}

fn pair() -> Result<(OwnedFd, OwnedFd), Refusal> {
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    Ok((ours.into(), theirs.into()))
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` wants")]
fn failed(error: io::Error) -> Refusal {
    Refusal::Failed(format!("could not reach the instance's streams: {error}"))
}
