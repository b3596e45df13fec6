//! The `Range` header of lists:
//!
//! ```text
//! range   := [key] [ ["]"] start ".." end ] [";" options]      ("]": start itself is left out)
//! options := option *( ("," / ";") option )                    in any order
//! option  := "max=" 1..1000 / "order=" ("asc" / "desc")
//! ```

use axum::extract::FromRequestParts;
use http::header::RANGE;
use http::request::Parts;

use crate::http::error::Error;

/// Entries of a page that names no `max` (Platform API Reference, "Ranges").
const USUAL: usize = 200;
/// The most entries of a page.
const MOST: usize = 1000;

/// What part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    /// By which key; the list's first one if not given.
    pub(crate) key: Option<String>,
    /// From where.
    pub(crate) start: Option<String>,
    /// Whether `start` itself is left out.
    pub(crate) exclusive: bool,
    /// Up to where, included.
    pub(crate) end: Option<String>,
    /// Whether the greatest comes first.
    pub(crate) descending: bool,
    /// The most entries.
    pub(crate) max: usize,
}

impl Default for Range {
    fn default() -> Self {
        Self { key: None, start: None, exclusive: false, end: None, descending: false, max: USUAL }
    }
}

impl<S: Sync> FromRequestParts<S> for Range {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let header = parts.headers.get(RANGE).map(|value| value.to_str().unwrap_or("?"));
        parse(header.unwrap_or_default()).ok_or_else(|| Error::bad_range("The `Range` header cannot be read."))
    }
}

fn parse(text: &str) -> Option<Range> {
    let mut range = Range::default();
    let (place, options) = match text.split_once(';') {
        Some((place, options)) => (place, options),
        None => (text, ""),
    };
    for option in options.split([',', ';']).map(str::trim).filter(|option| !option.is_empty()) {
        match option.split_once('=')? {
            ("max", max) => range.max = max.parse::<usize>().ok().filter(|max| *max > 0)?.min(MOST),
            ("order", "desc") => range.descending = true,
            ("order", "asc") => range.descending = false,
            _ => return None,
        }
    }
    let (key, bounds) = place.trim().split_once(' ').unwrap_or_else(|| alone(place.trim()));
    range.key = some(key);
    if let Some((start, end)) = bounds.trim().split_once("..") {
        range.exclusive = start.starts_with(']');
        range.start = some(start.trim_start_matches(']'));
        range.end = some(end);
    } else if !bounds.trim().is_empty() {
        return None;
    }
    Some(range)
}

/// One word is bounds if it has the two dots, a key otherwise.
fn alone(word: &str) -> (&str, &str) {
    if word.contains("..") { ("", word) } else { (word, "") }
}

fn some(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(key: &str, max: usize, descending: bool) -> Range {
        Range { key: some(key), max, descending, ..Range::default() }
    }

    #[test]
    fn options_come_in_any_order_and_with_either_separator() {
        assert_eq!(parse(""), Some(Range::default()));
        assert_eq!(parse("version ..; max=1, order=desc"), Some(range("version", 1, true)));
        assert_eq!(parse("version ..; order=desc,max=1"), Some(range("version", 1, true)));
        assert_eq!(parse("version ..;order=desc;max=10;"), Some(range("version", 10, true)));
        assert_eq!(parse("id ..; max=5000;"), Some(range("id", 1000, false)));
        assert_eq!(parse("name"), Some(range("name", 200, false)));
        assert_eq!(parse("..; max=3"), Some(range("", 3, false)));
    }

    #[test]
    fn bounds() {
        let exclusive = Range { start: some("b"), exclusive: true, ..range("name", 2, false) };
        assert_eq!(parse("name ]b..; max=2"), Some(exclusive));
        let both = Range { start: some("a"), end: some("c"), ..range("name", 200, false) };
        assert_eq!(parse("name a..c"), Some(both));
        let open = Range { exclusive: true, ..range("version", 10, true) };
        assert_eq!(parse("version ]..; order=desc,max=10;"), Some(open));
    }

    #[test]
    fn nonsense() {
        for text in ["id a-b", "id ..; max=0", "id ..; max=x", "id ..; order=up", "id ..; limit=3"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
