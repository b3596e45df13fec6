//! A moment in a resource.

use serde::{Serialize, Serializer};
use vocabulary::Timestamp;

/// A moment as the API writes it: RFC 3339, `Z`, whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Timestamp);

impl From<Timestamp> for Time {
    fn from(moment: Timestamp) -> Self {
        Self(moment)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.api())
    }
}
