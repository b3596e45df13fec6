//! Runs nft with documents, never with text.

use std::io;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// nft failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be run.
    #[error("could not run nft: {0}")]
    Run(#[from] io::Error),
    /// It refused the rules.
    #[error("could not apply the firewall rules: {0}")]
    Refused(String),
}

/// Applies a document in one transaction.
pub(super) async fn apply(nft: &Path, document: &Value) -> Result<(), Error> {
    let mut child = command(nft).args(["-j", "-f", "-"]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(document.to_string().as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    Err(Error::Refused(reason.lines().next().unwrap_or("no reason given").to_owned()))
}

/// How many rules the table has; none if it is gone.
pub(super) async fn count_rules(nft: &Path, table: &str) -> Result<usize, Error> {
    let listed = run(nft, &["-j", "list", "table", "inet", table]).await?;
    let document: Value = serde_json::from_slice(&listed.stdout).unwrap_or_default();
    let parts = document["nftables"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(parts.iter().filter(|part| part.get("rule").is_some()).count())
}

/// Runs nft; a failure of its own is in the status.
pub(super) async fn run(nft: &Path, args: &[&str]) -> io::Result<Output> {
    command(nft).args(args).stdin(Stdio::null()).output().await
}

fn command(nft: &Path) -> Command {
    let mut command = Command::new(nft);
    command.env_clear().current_dir("/").stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}
