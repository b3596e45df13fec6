//! `slipway doctor`: whether this machine can run the platform, each finding with what to do about it.
//!
//! A check is a plain function from what was read to a finding, so that it is tested with what other machines say.

mod finding;
mod host;
mod kernel;
mod network;
mod programs;
mod record;

use std::fs;
use std::process::{Command, ExitCode, Stdio};

use clap::Args;

use crate::layout::Layout;
use crate::settings::{Settings, Written};

/// `slipway doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print one JSON document: `can_run`, and `findings` with `check`, `level` (ok, warning, problem), `text`, `advice`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    written: Written,
}

/// Prints every finding; fails if one is a problem.
pub(crate) fn run(doctor: Doctor) -> ExitCode {
    let json = doctor.json;
    crate::settled(doctor.written, |settings| {
        let findings = examine(settings);
        if json {
            finding::print_json(&findings);
        } else {
            finding::print(&findings);
        }
        if finding::can_run(&findings) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

/// Everything that is looked at, in this order.
fn examine(settings: &Settings) -> Vec<finding::Finding> {
    let running = Running::of(settings);
    let mut findings = kernel::all();
    findings.extend(programs::all());
    findings.extend(host::all(settings));
    findings.extend(network::all(settings, &running));
    findings.extend(record::all(settings));
    findings
}

/// Whether the install that is looked at is up: much is in order only then.
#[derive(Debug)]
struct Running {
    install: Option<String>,
    now: bool,
}

impl Running {
    fn of(settings: &Settings) -> Self {
        // A data folder that cannot be read is told by whoever needs it.
        let layout = Layout::open(&settings.data).ok().flatten();
        let pid = layout.as_ref().and_then(|layout| fs::read_to_string(layout.in_run("supervisor.pid")).ok());
        let now = pid.is_some_and(|pid| fs::metadata(format!("/proc/{}", pid.trim())).is_ok());
        Self { install: layout.map(|layout| layout.install), now }
    }
}

/// A file of the kernel; empty if it is not there.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Whether a program does what it is asked.
fn quiet(program: &str, args: &[&str]) -> bool {
    let status =
        Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
