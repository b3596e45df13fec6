//! The check before an upgrade: the other program is run with our words and says what it is.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use crate::layout::Layout;
use crate::settings::Settings;
use crate::supervisor::handover::{self, FORM};
use crate::supervisor::{Error, doing, record};
use crate::users::{User, Users};

/// How long the check of a program may take.
const CHECK: Duration = Duration::from_mins(1);
/// The most it may say, in bytes.
const LONGEST: u64 = 256 * 1024;

/// What a program says when it is checked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Checked {
    /// Its version.
    pub(crate) version: String,
    /// The form of handover it understands.
    pub(crate) form: u32,
    /// The settings as it reads them, in its own form, which may have more than ours.
    pub(crate) settings: Value,
}

/// Asks a program.
pub(super) async fn ask(program: &Path) -> io::Result<Checked> {
    let mut command = Command::new(program);
    command.arg("upgrade-check").args(handover::words());
    let output = output(command, CHECK).await?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("its check failed: {}", told.trim())));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| io::Error::other(format!("its check is no check: {error}")))
}

/// What a command says, which must be neither late nor long.
async fn output(mut command: Command, limit: Duration) -> io::Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let run = |error| io::Error::other(format!("it cannot be run: {error}"));
    let mut child = command.spawn().map_err(run)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let both = async {
        let (stdout, stderr) = tokio::try_join!(read(stdout), read(stderr))?;
        Ok(Output { status: child.wait().await?, stdout, stderr })
    };
    tokio::time::timeout(limit, both).await.map_err(|_| io::Error::other("its check hangs"))?
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(LONGEST + 1).read_to_end(&mut said).await?;
    }
    if said.len() as u64 > LONGEST {
        return Err(io::Error::other("its check says more than a check has to say"));
    }
    Ok(said)
}

/// Whether what it says lets it take the place of one with these settings.
pub(super) fn fits(checked: &Checked, ours: &Settings) -> io::Result<()> {
    if checked.form != FORM {
        return Err(io::Error::other("it cannot go on from this version; stop the service and start the new one"));
    }
    let ours = serde_json::to_value(ours)?;
    for name in ["data", "listen"] {
        if checked.settings[name] != ours[name] {
            return Err(changed(name));
        }
    }
    Ok(())
}

fn changed(name: &str) -> io::Error {
    io::Error::other(format!("{name} was changed in the settings: restart for that"))
}

/// Says, for the supervisor of another version, that this program can take its place.
pub(in crate::supervisor) async fn checked(settings: &Settings) -> Result<Checked, Error> {
    let program = std::env::current_exe().map_err(doing("find our own program"))?;
    for name in ["slipway-shim", "slipway-init", "slipway-buildpacks", "slipway-static"] {
        let beside = program.with_file_name(name);
        fs::metadata(&beside).map_err(doing(format!("find {} beside the program", beside.display())))?;
    }
    let known = Layout::open(&settings.data).map_err(doing("read the data folder"))?;
    let layout = known.ok_or_else(|| io::ErrorKind::NotFound.into()).map_err(doing("read the data folder"))?;
    let database = record::of_install(None, &layout).map_err(doing("find the record"))?;
    if !record::is_the_running_one(settings, &layout).map_err(doing("find the record"))? {
        return Err(doing("take over")(changed("database-url")));
    }
    // A server may know its users by who they are here.
    Users::find_control().and_then(User::become_it).map_err(doing("act as the owner of the record"))?;
    let fits = store::Store::fits(&database).await.map_err(io::Error::other);
    fits.map_err(doing("go on with the store"))?;
    let settings = serde_json::to_value(settings).map_err(io::Error::other).map_err(doing("say what was read"))?;
    Ok(Checked { version: env!("CARGO_PKG_VERSION").to_owned(), form: FORM, settings })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Written;

    fn shell(words: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", words]);
        command
    }

    #[tokio::test]
    async fn a_check_that_hangs_or_does_not_stop_talking_is_cut_off() {
        let good = output(shell("echo said; echo told >&2"), CHECK).await.unwrap();
        assert_eq!((good.stdout.as_slice(), good.stderr.as_slice()), (&b"said\n"[..], &b"told\n"[..]));
        let hangs = output(shell("sleep 600"), Duration::from_millis(200)).await.unwrap_err();
        assert_eq!(hangs.to_string(), "its check hangs");
        for endless in ["exec yes", "exec yes >&2"] {
            let long = output(shell(endless), CHECK).await.unwrap_err();
            assert!(long.to_string().contains("more than"), "{long}");
        }
    }

    #[test]
    fn a_changed_place_wants_a_restart_and_a_setting_we_do_not_know_is_passed_on() {
        let ours = Written::default().settle().unwrap();
        let mut settings = serde_json::to_value(&ours).unwrap();
        settings["later"] = "set".into();
        let mut theirs = Checked { version: "9".to_owned(), form: FORM, settings };
        fits(&theirs, &ours).unwrap();
        for (name, other) in [("data", "/elsewhere".into()), ("listen", serde_json::json!(["127.0.0.1:1"]))] {
            let before = std::mem::replace(&mut theirs.settings[name], other);
            let refused = fits(&theirs, &ours).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("{name} was changed")), "{refused}");
            theirs.settings[name] = before;
        }
        theirs.form += 1;
        assert!(fits(&theirs, &ours).is_err());
    }
}
