//! `slipway doctor`: whether this machine can run the platform, each finding with what to do about it.
//!
//! A check is a plain function from what was read to a finding, so that it is tested with what other machines say.

mod finding;
mod host;
mod kernel;
mod network;
mod programs;
mod record;
mod repair;

use std::fs;
use std::process::{Command, ExitCode, Stdio};

use clap::Args;

use crate::layout::Layout;
use crate::settings::{Settings, Written};

pub(crate) const TAUGHT: &str = "\
Look, and see what hurts; each line says what was seen and what to do:
  slipway doctor

Mend what can be mended, then look again:
  sudo slipway doctor --repair

A firewall was loaded anew while slipway was stopped and apps lost their way out, keys or folders have a wrong owner,
a machine lost power and something is left: all of it is mended while apps run, and repeating it changes nothing.
What is left to you is in the advice: packages, kernels, disks, clocks, ports of others.

For a script:
  slipway doctor --json | jq '.findings[] | select(.level == \"problem\")'";

/// `slipway doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// First mend what can be mended: kernel modules, loop devices, limits, folders and their owners, firewalls, what a
    /// platform that died left; needs root, hurts nothing that runs
    #[arg(long)]
    repair: bool,
    /// Print one JSON document: `can_run`, and `findings` with `check`, `level` (ok, warning, problem), `text`, `advice`;
    /// with --repair also `repairs` with `check`, `mended`, `text`, `advice`
    #[arg(long)]
    json: bool,
    #[command(flatten, next_help_heading = "Settings of the platform")]
    written: Written,
}

/// Prints every finding; fails if one is a problem, or something could not be mended.
pub(crate) fn run(doctor: Doctor) -> ExitCode {
    let Doctor { repair, json, written } = doctor;
    crate::settled(written, |settings| {
        let repairs = repair.then(|| repair::all(settings));
        let findings = examine(settings);
        match &repairs {
            _ if json => print_json(&findings, repairs.as_deref()),
            Some(repairs) => {
                repair::print(repairs);
                finding::print(&findings);
            }
            None => finding::print(&findings),
        }
        let fine = finding::can_run(&findings) && repairs.is_none_or(|repairs| repair::all_mended(&repairs));
        if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

/// One document.
fn print_json(findings: &[finding::Finding], repairs: Option<&[repair::Repair]>) {
    let mut document = serde_json::json!({"can_run": finding::can_run(findings), "findings": findings});
    if let Some(repairs) = repairs {
        document["repairs"] = serde_json::json!(repairs);
    }
    crate::printer::say(format!("{document:#}"));
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
