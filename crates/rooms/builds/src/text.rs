//! What the platform itself says in a build's output. The lines of a compile are printed inside, by the runner.

use inside_contract::BuildReport;

/// Another build of the app is under way.
pub(crate) const WAITS: &str = " !     Another build of this app is under way; this one waits for its turn.\n\n";
/// The release waits for its release phase.
pub(crate) const RELEASE_COMMAND: &str =
    " !     Release command declared: this new release will not be available until the command succeeds.\n";

/// A build that an earlier process of the platform left under way begins again.
pub(crate) fn again(attempt: u32) -> String {
    format!("\n !     The platform was interrupted; the build starts again (attempt {}).\n\n", attempt + 1)
}

/// The slug is packed; the runner has said `Compressing...`.
pub(crate) fn compressed(bytes: u64) -> String {
    format!("       Done: {}\n-----> Launching...\n", size(bytes))
}

/// The release is made.
pub(crate) fn released(version: impl std::fmt::Display, url: &str) -> String {
    format!("       Released {version}\n       {url} deployed to Slipway\n\n")
}

/// The last line of the output of every build that failed.
pub(crate) const PUSH_FAILED: &str = " !     Push failed\n";

/// The app was deleted before the build began, or between two of its attempts.
pub(crate) const APP_GONE: &str = "the app was deleted";

/// A build that failed after its output said why, or with `reason` as why.
pub(crate) fn rejected(language: Option<&str>, reason: Option<&str>) -> String {
    let why = reason.map(|reason| format!(" !     {}\n\n", capital(reason))).unwrap_or_default();
    let compile =
        language.map(|name| format!(" !     Push rejected, failed to compile {name} app.\n\n")).unwrap_or_default();
    format!("{why}{compile}{PUSH_FAILED}")
}

/// Why a build failed that somebody cancelled.
pub(crate) fn canceled(email: &str) -> String {
    format!("canceled by user {email}")
}

/// A release phase that failed.
pub(crate) fn release_failed(version: impl std::fmt::Display, serving: Option<String>) -> String {
    let rest =
        serving.map_or_else(|| "nothing is released".to_owned(), |old| format!("{old} stays the current release"));
    format!("Waiting for release.... failed.\n !     Release command failed: {version} was not released; {rest}.\n")
}

/// The web dyno that ended or never listened.
pub(crate) fn boot_failed(dyno: &str, version: impl std::fmt::Display, app: &str) -> String {
    format!(
        "Verifying deploy... failed.\n !     {version} is released, but its first web dyno ({dyno}) crashed while it booted.\n !     \
         The platform tries again; see what it says: heroku logs --tail -a {app}\n"
    )
}

/// The web dyno that is still booting when the push stops waiting.
pub(crate) fn boot_slow(version: impl std::fmt::Display, app: &str) -> String {
    format!(
        "Verifying deploy... not finished.\n !     {version} is released, but none of its web dynos listens yet.\n !     \
         See what they do: heroku logs --tail -a {app}\n"
    )
}

/// Why an instance of a build ended without a usable report.
pub(crate) fn died(exit: engine::Exit, memory_bytes: u64) -> String {
    if exit.out_of_memory {
        return format!("the build needed more than {} of memory and was stopped", size(memory_bytes));
    }
    format!("the build ended with status {} before it was done", exit.status)
}

/// A slug above the limit.
pub(crate) fn too_large(limit_bytes: u64) -> String {
    format!("compiled slug is too large: more than {}", size(limit_bytes))
}

/// A build that ran too long.
pub(crate) fn timed_out(timeout: std::time::Duration) -> String {
    format!("the build ran longer than {} minutes and was stopped", timeout.as_secs().div_ceil(60))
}

/// One line of a failure, for the build's row and the log.
pub(crate) fn one_line(report: &str) -> String {
    let line = report.lines().next().unwrap_or_default();
    line.chars().filter(|letter| !letter.is_control()).take(300).collect()
}

/// Bytes as Heroku prints a slug's size: `33.2M`.
pub(crate) fn size(bytes: u64) -> String {
    let tenths = |unit: u64| (bytes.saturating_mul(10) + unit / 2) / unit;
    let (unit, letter) = match bytes {
        0..1_048_576 => (1024, 'K'),
        1_048_576..1_073_741_824 => (1_048_576, 'M'),
        _ => (1_073_741_824, 'G'),
    };
    match tenths(unit) {
        tenths if tenths % 10 == 0 => format!("{}{letter}", tenths / 10),
        tenths => format!("{}.{}{letter}", tenths / 10, tenths % 10),
    }
}

/// A line of what the report says, for logs of ours.
pub(crate) fn outcome(report: &BuildReport) -> &'static str {
    match report {
        BuildReport::NeedsRuntimes { .. } => "needs runtimes",
        BuildReport::Compiled(_) => "compiled",
        BuildReport::Failed { .. } => "failed",
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_herokus() {
        for (bytes, expected) in [(0, "0K"), (700, "0.7K"), (2048, "2K"), (34_812_723, "33.2M"), (1_073_741_824, "1G")]
        {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn failures_read_as_herokus() {
        assert_eq!(
            rejected(Some("Node.js"), None),
            " !     Push rejected, failed to compile Node.js app.\n\n !     Push failed\n"
        );
        assert_eq!(
            rejected(None, Some("the build ran longer than 15 minutes and was stopped")),
            " !     The build ran longer than 15 minutes and was stopped\n\n !     Push failed\n"
        );
        assert_eq!(rejected(None, None), " !     Push failed\n");
    }

    #[test]
    fn success_reads_as_herokus() {
        assert_eq!(compressed(34_812_723), "       Done: 33.2M\n-----> Launching...\n");
        assert_eq!(
            released("v5", "http://a.localhost:5080/"),
            "       Released v5\n       http://a.localhost:5080/ deployed to Slipway\n\n"
        );
    }

    #[test]
    fn a_row_holds_one_line_without_control_characters() {
        assert_eq!(one_line("a\u{1b}[31mb\nc"), "a[31mb");
        assert_eq!(one_line(&"x".repeat(1000)).len(), 300);
    }
}
