//! An app as `/teams` shows it.

use serde::Serialize;

use crate::App;

/// An app with what matters in a team.
#[derive(Debug, Clone, Serialize)]
pub struct TeamApp {
    /// The app.
    #[serde(flatten)]
    pub app: App<&'static str>,
    /// Whether the caller is one of its collaborators.
    pub joined: bool,
    /// Whether the team's members are kept out who were not let in.
    pub locked: bool,
}
