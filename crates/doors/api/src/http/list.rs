//! Lists: sorted, cut to what the `Range` header wants, and told how to go on.

use std::cmp::Ordering;
use std::str::FromStr;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_RANGES, CONTENT_RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use store::part::{Between, Part};
use vocabulary::Timestamp;

use crate::http::error::{Error, Result};
use crate::http::range::Range;

const NEXT_RANGE: HeaderName = HeaderName::from_static("next-range");

/// What a list is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// As text.
    Text(String),
    /// As a number.
    Number(i64),
    /// As a moment, to the microsecond.
    Time(Timestamp),
}

/// A sort key of a list of `T`: its name, and where an entry has it.
pub(crate) type Sort<T> = (&'static str, fn(&T) -> Key);

impl Key {
    /// A key out of anything that prints as one.
    pub(crate) fn text(text: &(impl ToString + ?Sized)) -> Self {
        Self::Text(text.to_string())
    }

    /// A bound of the same kind, as the header writes it.
    fn like(&self, text: &str) -> Option<Self> {
        match self {
            Self::Text(_) => Some(Self::text(text)),
            Self::Number(_) => text.parse().ok().map(Self::Number),
            Self::Time(_) => serde_json::from_value(text.into()).ok().map(Self::Time),
        }
    }

    fn header(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Time(time) => time.log(),
        }
    }
}

/// The answer: the wanted part of `entries`, each made a resource by `shape`. The first of `sorts` is what the list is
/// sorted by if nothing else is asked for.
pub(crate) fn answer<T, R: Serialize>(
    range: &Range,
    entries: Vec<T>,
    sorts: &[Sort<T>],
    shape: impl FnMut(&T) -> R,
) -> Result {
    let page = page(range, entries, sorts)?;
    let status = if page.next.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut headers = HeaderMap::new();
    put(&mut headers, ACCEPT_RANGES, &sorts.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "));
    put(&mut headers, CONTENT_RANGE, &page.content);
    if let Some(next) = &page.next {
        put(&mut headers, NEXT_RANGE, next);
    }
    let body: Vec<R> = page.entries.iter().map(shape).collect();
    Ok((status, headers, Json(body)).into_response())
}

/// The bounds of a range in the order of the list, whose least and greatest keys are these; for lists that the store
/// reads in parts.
pub(crate) fn bounds<K: FromStr>(range: &Range, least: K, greatest: K) -> Result<(K, K)> {
    let parsed = |text: &str| text.parse().map_err(|_| no_such_key());
    let (start, end) = if range.descending { (greatest, least) } else { (least, greatest) };
    Ok((range.start.as_deref().map_or(Ok(start), parsed)?, range.end.as_deref().map_or(Ok(end), parsed)?))
}

/// What is read for a page: the entry that a range excludes, and one that tells that there are more, beyond the page's.
pub(crate) fn part(range: &Range, between: Between) -> Part {
    let most = u32::try_from(range.max.saturating_add(2)).unwrap_or(u32::MAX);
    Part { between, descending: range.descending, most }
}

fn no_such_key() -> Error {
    Error::bad_range("A bound of the `Range` header is no such key.")
}

/// An empty list.
pub(crate) fn nothing() -> Response {
    Json::<[(); 0]>([]).into_response()
}

fn put(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

struct Page<T> {
    entries: Vec<T>,
    content: String,
    next: Option<String>,
}

fn page<T>(range: &Range, entries: Vec<T>, sorts: &[Sort<T>]) -> Result<Page<T>> {
    let wanted = range.key.as_deref();
    let (name, key) = match wanted {
        None => sorts.first(),
        Some(wanted) => sorts.iter().find(|(name, _)| *name == wanted),
    }
    .ok_or_else(|| Error::bad_range("The `Range` header names no key of `Accept-Ranges`."))?;
    let mut keyed: Vec<(Key, T)> = entries.into_iter().map(|entry| (key(&entry), entry)).collect();
    keyed.sort_by(|(one, _), (other, _)| direction(one.cmp(other), range.descending));
    let mut inside = vec![];
    for entry in keyed {
        if within(&entry.0, range)? {
            inside.push(entry);
        }
    }
    let truncated = inside.len() > range.max;
    inside.truncate(range.max);
    let edge = |entry: Option<&(Key, T)>| entry.map(|(key, _)| key.header()).unwrap_or_default();
    let (first, last) = (edge(inside.first()), edge(inside.last()));
    let order = if range.descending { ",order=desc" } else { "" };
    let end = range.end.as_deref().unwrap_or_default();
    Ok(Page {
        content: format!("{name} {first}..{last}; max={}{order}", range.max),
        next: truncated.then(|| format!("{name} ]{last}..{end}; max={}{order}", range.max)),
        entries: inside.into_iter().map(|(_, entry)| entry).collect(),
    })
}

fn direction(ordering: Ordering, descending: bool) -> Ordering {
    if descending { ordering.reverse() } else { ordering }
}

/// Whether a key lies between the bounds, which stand in the order of the list.
fn within(key: &Key, range: &Range) -> Result<bool> {
    let bound = |text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => key.like(text).map(Some).ok_or_else(no_such_key),
    };
    let after_start = bound(&range.start)?.is_none_or(|start| match direction(key.cmp(&start), range.descending) {
        Ordering::Less => false,
        Ordering::Equal => !range.exclusive,
        Ordering::Greater => true,
    });
    let before_end =
        bound(&range.end)?.is_none_or(|end| direction(key.cmp(&end), range.descending) != Ordering::Greater);
    Ok(after_start && before_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SORTS: &[Sort<i64>] = &[("id", |entry| Key::Number(*entry))];

    fn part(start: Option<&str>, exclusive: bool, descending: bool, max: usize) -> Page<i64> {
        let start = start.map(str::to_owned);
        page(&Range { start, exclusive, descending, max, ..Range::default() }, vec![2, 3, 1, 10], SORTS).unwrap()
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let first = part(None, false, true, 2);
        assert_eq!(first.entries, [10, 3]);
        assert_eq!(first.content, "id 10..3; max=2,order=desc");
        assert_eq!(first.next.as_deref(), Some("id ]3..; max=2,order=desc"));
        let last = part(Some("3"), true, true, 2);
        assert_eq!((last.entries, last.next), (vec![2, 1], None));
        assert_eq!(part(Some("3"), false, false, 9).entries, [3, 10]);
    }

    #[test]
    fn unknown_keys_and_bounds_are_refused() {
        let key = Range { key: Some("colour".to_owned()), ..Range::default() };
        assert!(page(&key, vec![1], SORTS).is_err());
        let bound = Range { start: Some("x".to_owned()), ..Range::default() };
        assert!(page(&bound, vec![1], SORTS).is_err());
    }
}
