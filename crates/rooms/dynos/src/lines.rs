//! Every line this room writes into an app's log, word for word: what Heroku writes, unless said.

use std::time::Duration;

use engine::Exit;
use launch::KilledAt;
use launch::lines::running;
pub(crate) use launch::lines::{exited, starting, state_changed};
use store::formation::Formation;
use vocabulary::DynoSize;

/// Before a dyno is stopped for another that replaces it.
pub(crate) const RESTARTING: &str = "Restarting";
/// With SIGTERM.
pub(crate) const SIGTERM: &str = "Stopping all processes with SIGTERM";
/// With the SIGKILL of R10 and R15.
pub(crate) const SIGKILL: &str = "Stopping process with SIGKILL";
/// With the SIGKILL of R12.
pub(crate) const SIGKILL_REMAINING: &str = "Stopping remaining processes with SIGKILL";
/// Ours: Heroku has no such line since R11 was retired, and the reason is hard to guess from R10 alone.
pub(crate) const LOOPBACK_ONLY: &str =
    "Web process listens on 127.0.0.1 only, where no request can reach it: bind $PORT on 0.0.0.0";
/// Ours: said once where Heroku would have had memory for both.
pub(crate) const STOPS_FIRST: &str =
    "Not enough memory for the new dyno beside this one: stopping it before the new one starts";

/// Before an attached one-off dyno starts.
pub(crate) const AWAITING: &str = "Awaiting client";
/// R13.
pub(crate) const ATTACH_ERROR: &str = "Error R13 (Attach error) -> Failed to attach to process";
/// When whoever was attached is gone.
pub(crate) const CLIENT_CLOSED: &str = "Client connection closed. Sending SIGHUP to all processes";
/// Before a one-off dyno is stopped at the end of its time, as Heroku says of its daily restarts.
pub(crate) const CYCLING: &str = "Cycling";

/// `Starting process with command`, told by who asked for it.
pub(crate) fn starting_by(command: &str, email: &str) -> String {
    format!("{} by user {email}", starting(command))
}

/// R10.
pub(crate) fn boot_timeout(limit: Duration) -> String {
    let seconds = limit.as_secs();
    format!("Error R10 (Boot timeout) -> Web process failed to bind to $PORT within {seconds} seconds of launch")
}

/// R12.
pub(crate) fn exit_timeout(grace: Duration) -> String {
    let seconds = grace.as_secs();
    format!("Error R12 (Exit timeout) -> At least one process failed to exit within {seconds} seconds of SIGTERM")
}

/// R15.
pub(crate) fn out_of_memory(size: DynoSize, killed_at: KilledAt) -> [String; 3] {
    [
        running(killed_at.bytes(size), size.memory_mib() << 20),
        "Error R15 (Memory quota vastly exceeded)".to_owned(),
        SIGKILL.to_owned(),
    ]
}

/// R99, with our own wording: what the platform could not do.
pub(crate) fn platform_error(reason: &str) -> String {
    format!("Error R99 (Platform error) -> Could not start the dyno: {reason}")
}

/// How a process ended that was told to stop.
pub(crate) fn stopped(exit: Exit, grace: Duration, timed_out: bool) -> Vec<String> {
    let mut lines = vec![];
    if timed_out && exit.status == 137 {
        lines.extend([exit_timeout(grace), SIGKILL_REMAINING.to_owned()]);
    }
    lines.push(exited(exit.status));
    lines
}

/// How a process ended by itself.
pub(crate) fn crashed(exit: Exit, size: DynoSize, killed_at: KilledAt) -> Vec<String> {
    let mut lines = vec![];
    if exit.out_of_memory {
        lines.extend(out_of_memory(size, killed_at));
    }
    lines.push(exited(exit.status));
    lines
}

/// `Scaled to web@2:Standard-1X worker@0:Standard-1X by user EMAIL`.
pub(crate) fn scaled(formation: &[Formation], email: &str) -> String {
    let types: Vec<String> =
        formation.iter().map(|one| format!("{}@{}:{}", one.process_type, one.quantity, one.size)).collect();
    format!("Scaled to {} by user {email}", types.join(" "))
}

#[cfg(test)]
mod tests {
    use store::formation::Formation;
    use vocabulary::{AppId, FormationId, Timestamp};

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const GRACE: Duration = Duration::from_secs(30);

    #[test]
    fn time_limits_word_for_word() {
        assert_eq!(
            boot_timeout(MINUTE),
            "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds of launch"
        );
        assert_eq!(
            exit_timeout(GRACE),
            "Error R12 (Exit timeout) -> At least one process failed to exit within 30 seconds of SIGTERM"
        );
    }

    #[test]
    fn ends_word_for_word() {
        let exit = |status, out_of_memory| Exit { status, out_of_memory };
        assert_eq!(
            crashed(exit(1, false), DynoSize::Standard1X, KilledAt::default()),
            ["Process exited with status 1"]
        );
        assert_eq!(
            crashed(exit(137, true), DynoSize::Standard1X, KilledAt::default()),
            [
                "Process running mem=1024M(200.0%)",
                "Error R15 (Memory quota vastly exceeded)",
                "Stopping process with SIGKILL",
                "Process exited with status 137"
            ]
        );
        assert_eq!(stopped(exit(143, false), GRACE, true), ["Process exited with status 143"]);
        assert_eq!(stopped(exit(137, false), GRACE, false), ["Process exited with status 137"]);
        assert_eq!(
            stopped(exit(137, false), GRACE, true),
            [
                "Error R12 (Exit timeout) -> At least one process failed to exit within 30 seconds of SIGTERM",
                "Stopping remaining processes with SIGKILL",
                "Process exited with status 137"
            ]
        );
    }

    #[test]
    fn a_scale_word_for_word() {
        let one = |name: &str, quantity, size| Formation {
            id: FormationId::new(),
            app_id: AppId::new(),
            process_type: name.parse().unwrap(),
            quantity,
            size,
            created_at: Timestamp::now(),
            updated_at: Timestamp::now(),
        };
        let formation = [one("web", 2, DynoSize::Standard1X), one("worker", 0, DynoSize::PerformanceL)];
        assert_eq!(
            scaled(&formation, "ada@example.com"),
            "Scaled to web@2:Standard-1X worker@0:Performance-L by user ada@example.com"
        );
    }
}
