//! `slipway doctor --repair`: mends what can be mended without a question and without hurting what runs.
//!
//! | of | mended |
//! |---|---|
//! | the kernel | modules that are not loaded, nodes of loop devices that are missing, limits that are too low |
//! | a dead install | what it left in the kernel and under `/run`, if no process of it runs any more |
//! | the install | system users, folders, their modes and owners, those of keys and of the record's file |
//! | the network | `ip_forward`, our firewall table, rules in the firewalls of others, routes, while there are dynos |
//!
//! Each step looks first, so that it may be repeated, and tells of what it changed alone. Nothing is installed, nothing
//! is written to `/etc` but a missing system user, no data is deleted.

mod install;
mod kernel;

use serde::Serialize;

use crate::layout::Layout;
use crate::printer;
use crate::settings::Settings;

/// One thing that was mended, or could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Repair {
    /// Of which check.
    check: &'static str,
    /// Whether it is as it should be now.
    mended: bool,
    /// What was done, or why it could not be.
    text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

fn mended(check: &'static str, text: impl Into<String>) -> Repair {
    Repair { check, mended: true, text: text.into(), advice: None }
}

fn failed(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Repair {
    Repair { check, mended: false, text: text.into(), advice: Some(advice.into()) }
}

impl Repair {
    /// It holds until something happens: what to do so that it stays.
    fn for_good(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

/// Everything, in an order in which each step finds what it needs.
pub(super) fn all(settings: &Settings) -> Vec<Repair> {
    if !rustix::process::geteuid().is_root() {
        return vec![failed("root", "nothing can be mended without being root", "sudo slipway doctor --repair")];
    }
    let mut repairs = kernel::all();
    match Layout::open(&settings.data) {
        Ok(Some(layout)) => repairs.extend(install::all(settings, &layout)),
        // Nothing was ever up here: `slipway up` makes what it needs.
        Ok(None) => {}
        Err(error) => repairs.push(failed(
            "install",
            format!("the data folder cannot be read: {error}"),
            "look at --data, its disk and its mount",
        )),
    }
    repairs
}

/// Whether all that was tried was mended.
pub(super) fn all_mended(repairs: &[Repair]) -> bool {
    repairs.iter().all(|repair| repair.mended)
}

/// One line each, before the findings.
pub(super) fn print(repairs: &[Repair]) {
    let widest = repairs.iter().map(|repair| repair.check.len()).max().unwrap_or_default();
    for Repair { check, mended, text, advice } in repairs {
        let outcome = if *mended { "mended" } else { "FAILED" };
        let advice = advice.as_ref().map(|advice| format!(": {advice}")).unwrap_or_default();
        printer::say(format!("  {outcome:7}  {check:widest$}  {text}{advice}"));
    }
    let done = repairs.iter().filter(|repair| repair.mended).count();
    printer::say(match repairs.len() {
        0 => "found nothing that could be mended from here; now as it is:".to_owned(),
        all => format!("mended {done} of {all}; now as it is:"),
    });
}
