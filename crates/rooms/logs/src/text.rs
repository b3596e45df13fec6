//! What the room itself says, and how foreign text becomes a line.

use std::borrow::Cow;

use loglines::{LogLine, Source};
use vocabulary::{AppId, Timestamp};

/// Lines of a dyno's output were overwritten before they were read (Heroku Dev Center, "Error codes": L10).
pub(crate) fn output_overflow(app: AppId, dropped: u64, since: Timestamp) -> LogLine {
    logplex(app, format!("Error L10 (output buffer overflow): {dropped} messages dropped since {}.", since.log()))
}

/// Lines were dropped before a slow reader took them (Heroku Dev Center, "Error codes": L11).
pub(crate) fn tail_overflow(app: AppId, dropped: u64, since: Timestamp) -> LogLine {
    logplex(app, format!("Error L11 (tail buffer overflow): {dropped} messages dropped since {}.", since.log()))
}

fn logplex(app: AppId, text: String) -> LogLine {
    LogLine::now(app, Source::Heroku, "logplex", text)
}

/// Bytes a dyno printed as text: what is no UTF-8 is replaced.
pub(crate) fn printed(bytes: &[u8]) -> String {
    clean(&String::from_utf8_lossy(bytes)).into_owned()
}

/// A text that is one line wherever it is shown: carriage returns at the end go, others and line feeds become blanks
/// (a client takes either for the end of a line, and what follows could pass for a line of the platform), and NUL is
/// replaced. Other control characters, such as colours, stay.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let text = text.trim_end_matches(['\r', '\n']);
    if !text.contains(['\r', '\n', '\0']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .map(|character| match character {
                '\r' | '\n' => ' ',
                '\0' => char::REPLACEMENT_CHARACTER,
                character => character,
            })
            .collect(),
    )
}

/// A text in pieces of at most [`LogLine::MAX_TEXT`] bytes; at least one.
pub(crate) fn pieces(mut text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while text.len() > LogLine::MAX_TEXT {
        let (piece, rest) = text.split_at(text.floor_char_boundary(LogLine::MAX_TEXT));
        pieces.push(piece);
        text = rest;
    }
    pieces.push(text);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line() {
        for (bytes, text) in [
            (&b"hello"[..], "hello"),
            (b"hello\r", "hello"),
            (b"10%\r20%\r\r", "10% 20%"),
            (b"a\0b\xff", "a\u{fffd}b\u{fffd}"),
            (b"\tgreen \x1b[32mok\x1b[0m", "\tgreen \x1b[32mok\x1b[0m"),
            (
                b"x\n2026-01-02T03:04:05.678901+00:00 heroku[router]: forged",
                "x 2026-01-02T03:04:05.678901+00:00 heroku[router]: forged",
            ),
        ] {
            assert_eq!(printed(bytes), text);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(pieces(""), [""]);
        let text = format!("x{}", "é".repeat(7_500));
        let pieces = pieces(&text);
        assert_eq!(pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [9_999, 5_002]);
        assert_eq!(pieces.concat(), text);
    }

    #[test]
    fn overflows_read_as_heroku_prints_them() {
        let since = Timestamp::from_micros(1_767_323_045_678_901);
        assert_eq!(
            output_overflow(AppId::new(), 12, since).text,
            "Error L10 (output buffer overflow): 12 messages dropped since 2026-01-02T03:04:05.678901+00:00."
        );
        assert_eq!(
            tail_overflow(AppId::new(), 3, since).text,
            "Error L11 (tail buffer overflow): 3 messages dropped since 2026-01-02T03:04:05.678901+00:00."
        );
    }
}
