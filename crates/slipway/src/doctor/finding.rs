//! What a check found, and how it is told.

use serde::Serialize;

use crate::printer;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// The platform runs, but something will hurt.
    Warning,
    /// The platform cannot run.
    Problem,
}

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Which check: `kernel`. Fixed, so that machines can look for it.
    check: &'static str,
    pub(super) level: Level,
    /// What was seen.
    text: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// What was seen is as it should be.
pub(super) fn ok(check: &'static str, text: impl Into<String>) -> Finding {
    Finding { check, level: Level::Ok, text: text.into(), advice: None }
}

/// What was seen will hurt; what to do.
pub(super) fn warning(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { check, level: Level::Warning, text: text.into(), advice: Some(advice.into()) }
}

/// What was seen is in the way; what to do.
pub(super) fn problem(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { check, level: Level::Problem, text: text.into(), advice: Some(advice.into()) }
}

/// One line each.
pub(super) fn print(findings: &[Finding]) {
    let widest = findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    for Finding { check, level, text, advice } in findings {
        let level = match level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Problem => "PROBLEM",
        };
        let advice = advice.as_ref().map(|advice| format!(": {advice}")).unwrap_or_default();
        printer::say(format!("  {level:7}  {check:widest$}  {text}{advice}"));
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (warnings, problems) = (count(Level::Warning), count(Level::Problem));
    let verdict = if problems == 0 { "the platform can run here" } else { "the platform cannot run here as it is" };
    printer::say(format!("{verdict}: {problems} problems, {warnings} warnings"));
}

/// Whether nothing is in the way.
pub(super) fn can_run(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.level != Level::Problem)
}

#[cfg(test)]
impl Finding {
    /// All of it, for tests.
    pub(super) fn told(&self) -> String {
        format!("{:?} {} {}", self.level, self.text, self.advice.clone().unwrap_or_default())
    }
}
