//! A client that comes with a secret instead of a request: the router asks control, on a connection for this alone, for
//! the streams of the program the secret was made for. From then on control is not in the way.

use serde::{Deserialize, Serialize};
use vocabulary::Secret;

/// From a router, once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Join {
    /// What the client said.
    pub secret: Secret,
}

/// Control's answer, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The program's streams come along: a stream socket.
    Joined {
        /// Whether it has a terminal.
        is_terminal: bool,
    },
    /// There is no such meeting. Who guesses is told nothing.
    Unknown,
    /// There is one, but no program; the client is told why.
    Failed {
        /// A sentence for people.
        reason: String,
    },
}
