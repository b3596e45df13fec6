//! What happens to whoever does not pay.

use serde::Serialize;

use crate::Time;

/// `/account/delinquency`, `/teams/{team}/delinquency`: nothing is paid for here.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Delinquency {
    /// Always null.
    pub scheduled_suspension_time: Option<Time>,
    /// Always null.
    pub scheduled_deletion_time: Option<Time>,
}
