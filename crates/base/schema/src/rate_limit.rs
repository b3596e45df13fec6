//! What is left of the rate limit.

use serde::Serialize;

/// `GET /account/rate-limits`.
#[derive(Debug, Clone, Serialize)]
pub struct RateLimit {
    /// Requests that may be made now.
    pub remaining: u32,
}
