//! What metered add-ons have used.

use serde::Serialize;
use serde_json::Value;

/// `/apps/{app}/usage`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AppUsage {
    /// Always empty: no add-on is metered.
    pub addons: [Value; 0],
}

/// `/teams/{team}/usage`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TeamUsage {
    /// Apps with metered add-ons: always empty.
    pub apps: [Value; 0],
}
