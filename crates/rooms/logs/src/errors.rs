//! How often an app had which error, counted as the platform's lines about it come by.
//!
//! ```text
//! heroku[router]: at=error code=H12 desc=…        H12 of the router
//! heroku[web.1]: Error R14 (Memory quota …        R14 of the type web
//! ```
//!
//! Counts are kept for 24 hours and in memory alone: a restart of control begins anew.

use std::collections::{BTreeMap, HashMap};

use loglines::{LogLine, Source};
use vocabulary::{AppId, DynoName, ProcessType, Timestamp};

/// Errors are counted by pieces of so many microseconds: 10 minutes.
const PIECE: i64 = 10 * 60 * 1_000_000;
/// How many pieces are kept: 24 hours and the one under way.
const PIECES: i64 = 24 * 6;

/// Who had an error.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Culprit {
    /// The router: H codes.
    Router,
    /// Dynos of a type: R codes.
    Dynos(ProcessType),
}

/// The beginning of a piece of time, the code, how often.
type Count = (Timestamp, String, u64);

/// Piece of time, who, which code; how often.
type Counts = BTreeMap<(i64, Culprit, String), u64>;

/// The counts of every app.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    apps: HashMap<AppId, Counts>,
    /// The newest piece that anything was counted in.
    newest: i64,
}

impl Errors {
    /// Counts a line, if it tells an error.
    pub(crate) fn note(&mut self, line: &LogLine) {
        let Some((culprit, code)) = error(line) else { return };
        let piece = line.time.micros().div_euclid(PIECE);
        if piece > self.newest {
            self.newest = piece;
            self.forget_old();
        }
        *self.apps.entry(line.app).or_default().entry((piece, culprit, code.to_owned())).or_default() += 1;
    }

    /// Forgets what is a day old, of every app.
    fn forget_old(&mut self) {
        let oldest = self.newest - PIECES;
        self.apps.retain(|_, counts| {
            counts.retain(|(piece, ..), _| *piece >= oldest);
            !counts.is_empty()
        });
    }

    /// When and how often each error of a culprit was seen, from the piece that holds `since` on and of the day before
    /// `now`.
    pub(crate) fn of(&self, app: AppId, culprit: &Culprit, since: Timestamp, now: Timestamp) -> Vec<Count> {
        let piece = |moment: Timestamp| moment.micros().div_euclid(PIECE);
        let first = piece(since).max(piece(now) - PIECES);
        let counts = self.apps.get(&app).into_iter().flatten();
        let wanted = counts.filter(|((piece, who, _), _)| *piece >= first && who == culprit);
        wanted.map(|((piece, _, code), count)| (Timestamp::from_micros(piece * PIECE), code.clone(), *count)).collect()
    }

    pub(crate) fn forget(&mut self, app: AppId) {
        self.apps.remove(&app);
    }
}

/// Who had which error, by a line of the platform's own; an app's output is never one.
fn error(line: &LogLine) -> Option<(Culprit, &str)> {
    if line.source != Source::Heroku {
        return None;
    }
    if line.dyno == "router" {
        // What a request may choose comes behind the code.
        let (_, rest) = line.text.split_once("at=")?;
        let (_, rest) = rest.split_once(' ')?;
        return Some((Culprit::Router, code(rest.strip_prefix("code=")?, 'H')?));
    }
    let process_type = line.dyno.parse::<DynoName>().ok()?.process_type().clone();
    Some((Culprit::Dynos(process_type), code(line.text.strip_prefix("Error ")?, 'R')?))
}

/// `H12` at the beginning of a text.
fn code(text: &str, letter: char) -> Option<&str> {
    let end = text.find(' ')?;
    let code = text.get(..end)?;
    let digits = code.strip_prefix(letter)?;
    (digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(app: AppId, source: Source, dyno: &str, minute: i64, text: &str) -> LogLine {
        let time = Timestamp::from_micros(minute * 60 * 1_000_000);
        LogLine { app, time, source, dyno: dyno.to_owned(), text: text.to_owned() }
    }

    fn web() -> Culprit {
        Culprit::Dynos("web".parse().unwrap())
    }

    #[test]
    fn errors_are_counted_by_who_had_them_and_are_forgotten_after_a_day() {
        let (mut errors, app) = (Errors::default(), AppId::new());
        for minute in [0, 3, 11] {
            errors.note(&line(app, Source::Heroku, "web.1", minute, "Error R14 (Memory quota exceeded)"));
        }
        errors.note(&line(app, Source::Heroku, "router", 3, "sock=client at=warning code=H27 desc=\"x\" path=\"/\""));
        errors.note(&line(app, Source::Heroku, "router", 3, "at=error code=H12 desc=\"Request timeout\" method=GET"));
        let at = |minutes: i64| Timestamp::from_micros(minutes * 60 * 1_000_000);
        let now = at(20);
        let r14 = |minute, count| (at(minute), "R14".to_owned(), count);
        assert_eq!(errors.of(app, &web(), at(0), now), [r14(0, 2), r14(10, 1)]);
        assert_eq!(errors.of(app, &web(), at(10), now), [r14(10, 1)]);
        let router: Vec<_> =
            errors.of(app, &Culprit::Router, at(0), now).into_iter().map(|(_, code, _)| code).collect();
        assert_eq!(router, ["H12", "H27"]);
        assert!(errors.of(AppId::new(), &web(), at(0), now).is_empty());
        assert!(errors.of(app, &web(), at(0), at(26 * 60)).is_empty(), "a day later, though nothing was said since");
        let other = AppId::new();
        errors.note(&line(other, Source::Heroku, "web.1", 0, "Error R14 (x)"));
        let now = at(25 * 60);
        errors.note(&line(app, Source::Heroku, "web.2", 25 * 60, "Error R12 (Exit timeout) -> x"));
        assert_eq!(errors.of(app, &web(), at(0), now), [(at(25 * 60), "R12".to_owned(), 1)]);
        assert_eq!(errors.apps.len(), 1, "who was silent for a day costs nothing");
        errors.forget(app);
        assert!(errors.apps.is_empty());
    }

    #[test]
    fn neither_an_app_nor_a_request_forges_one() {
        let app = AppId::new();
        for (source, dyno, text) in [
            (Source::App, "web.1", "Error R14 (Memory quota exceeded)"),
            (Source::App, "router", "at=error code=H12 desc"),
            (Source::Heroku, "router", "at=info method=GET path=\"/ at=error code=H12 \""),
            (Source::Heroku, "web.1", "Starting process with command `Error R14 (x)`"),
            (Source::Heroku, "web.1", "Error R1x (x)"),
            (Source::Heroku, "api", "Error R14 (x)"),
        ] {
            assert_eq!(error(&line(app, source, dyno, 0, text)), None, "{text}");
        }
    }
}
