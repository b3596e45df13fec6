//! The part of a list that is read, so that what grows without an end is never read whole.

use crate::sql::Query;

/// Between which two entries, both included; which of the two comes first does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Between {
    /// Of their numbers, which grow with age.
    Sequence(i64, i64),
    /// Of their ids, as text.
    Id(String, String),
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which entries, and what they are sorted by.
    pub between: Between,
    /// Whether the last of them comes first.
    pub descending: bool,
    /// The most entries.
    pub most: u32,
}

impl Part {
    /// The oldest so many entries.
    #[must_use]
    pub fn first(most: u32) -> Self {
        Self { between: Between::Sequence(i64::MIN, i64::MAX), descending: false, most }
    }

    /// Binds the lower end, the upper end and the most entries.
    pub(crate) fn bind(&self, query: Query) -> Query {
        let query = match &self.between {
            Between::Sequence(one, other) => query.bind(*one.min(other)).bind(*one.max(other)),
            Between::Id(one, other) => query.bind(one.min(other).clone()).bind(one.max(other).clone()),
        };
        query.bind(i64::from(self.most))
    }
}
