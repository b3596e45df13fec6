//! What becomes of a delivery after an attempt.

use std::time::Duration;

use store::deliveries::Ended;
use vocabulary::{DeliveryEvent, Timestamp, WebhookLevel};

use crate::Config;

/// How an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The receiver answered this status.
    Answered(u16),
    /// There was no answer, for this reason.
    Unanswered(&'static str),
}

/// What is known of a delivery when its attempt ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempted {
    pub(crate) level: WebhookLevel,
    /// Attempts with this one.
    pub(crate) attempts: i64,
    /// When its event happened.
    pub(crate) since: Timestamp,
    pub(crate) now: Timestamp,
}

/// Only 2xx is success: a redirect is not followed, and what it leads to was not told.
pub(crate) fn after(attempted: Attempted, outcome: Outcome, config: &Config) -> Ended {
    let (code, error) = match outcome {
        Outcome::Answered(code) => (Some(code), None),
        Outcome::Unanswered(reason) => (None, Some(reason)),
    };
    if code.is_some_and(|code| (200..300).contains(&code)) {
        return Ended { event: DeliveryEvent::Succeed, code, error, next_attempt_at: None };
    }
    let next = later(attempted.now, pause(attempted.attempts, config));
    if attempted.level == WebhookLevel::Notify || next > later(attempted.since, config.patience) {
        return Ended { event: DeliveryEvent::GiveUp, code, error, next_attempt_at: None };
    }
    Ended { event: DeliveryEvent::Retry, code, error, next_attempt_at: Some(next) }
}

/// The pause after so many attempts.
fn pause(attempts: i64, config: &Config) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    config.first_pause.saturating_mul(2_u32.saturating_pow(doublings)).min(config.longest_pause)
}

fn later(moment: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_micros(moment.micros().saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn ended(level: WebhookLevel, attempts: i64, seconds: i64, outcome: Outcome) -> (DeliveryEvent, Option<i64>) {
        let (since, now) = (Timestamp::from_micros(0), Timestamp::from_micros(seconds * SECOND));
        let ended = after(Attempted { level, attempts, since, now }, outcome, &Config::default());
        (ended.event, ended.next_attempt_at.map(|next| next.micros() / SECOND - seconds))
    }

    #[test]
    fn only_2xx_is_success() {
        for (code, event) in [
            (200, DeliveryEvent::Succeed),
            (204, DeliveryEvent::Succeed),
            (299, DeliveryEvent::Succeed),
            (101, DeliveryEvent::GiveUp),
            (301, DeliveryEvent::GiveUp),
            (307, DeliveryEvent::GiveUp),
            (404, DeliveryEvent::GiveUp),
            (500, DeliveryEvent::GiveUp),
        ] {
            assert_eq!(ended(WebhookLevel::Notify, 1, 0, Outcome::Answered(code)).0, event, "{code}");
        }
    }

    #[test]
    fn pauses_double_up_to_an_hour() {
        let pause = |attempts| ended(WebhookLevel::Sync, attempts, 60, Outcome::Answered(500)).1;
        assert_eq!([1, 2, 3, 11, 12, 1000].map(pause), [2, 4, 8, 2048, 3600, 3600].map(Some));
        assert_eq!(ended(WebhookLevel::Sync, i64::MAX, 0, Outcome::Unanswered("Timeout")).1, Some(3600));
    }

    #[test]
    fn after_72_hours_nothing_is_tried_again() {
        let last = 72 * 3600;
        let retry = |seconds| ended(WebhookLevel::Sync, 80, seconds, Outcome::Unanswered("ConnectionError")).0;
        assert_eq!(retry(last - 3600), DeliveryEvent::Retry);
        assert_eq!(retry(last - 3599), DeliveryEvent::GiveUp);
    }
}
