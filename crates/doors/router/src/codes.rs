//! Heroku's router codes (Dev Center, "Heroku Error Codes"): what each is called, answered and logged as.

use http::StatusCode;

/// Why a request for an app was not answered by the app, or not to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// The app's web dynos crashed.
    H10,
    /// Too many requests wait for the app already.
    H11,
    /// No byte of an answer in 30 s.
    H12,
    /// The dyno closed the connection before a byte of an answer.
    H13,
    /// No web dynos are wanted.
    H14,
    /// The answer began, and then no byte came for 55 s.
    H15,
    /// The answer is no HTTP.
    H17,
    /// The dyno closed the connection in the middle of the answer, or of the request's body.
    H18,
    /// The dyno did not take the connection in 5 s.
    H19,
    /// No web dyno was up in 75 s.
    H20,
    /// The dyno refused the connection.
    H21,
    /// The router has as many connections as it may have.
    H22,
    /// The answer's head is larger than allowed.
    H25,
    /// The request's body is no HTTP, or it expects what cannot be.
    H26(Fault),
    /// The client left before the answer was complete.
    H27,
    /// The client neither sent its body nor took the answer for 55 s.
    H28,
    /// The name in TLS belongs to another app than the name in the request.
    H31,
    /// The app is in maintenance.
    H80,
    /// Nothing was ever released.
    H81,
    /// Our own fault.
    H99,
}

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its body cannot be read.
    Body,
    /// It expects something other than `100-continue`.
    Expectation,
}

/// How serious the log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// As asked for.
    Info,
    /// The client's doing.
    Warning,
    /// The app's or the platform's doing.
    Error,
}

/// Whose socket ended it, where a socket did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Socket {
    /// The client's.
    Client,
    /// The dyno's.
    Backend,
}

impl Code {
    /// `H12`.
    pub(crate) fn name(self) -> &'static str {
        self.row().0
    }

    /// Heroku's description.
    pub(crate) fn description(self) -> &'static str {
        self.row().1
    }

    /// The status that is answered or, where nobody is left to answer, logged. 499 is nginx's word for "the client left".
    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().2).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// How serious it is.
    pub(crate) fn level(self) -> Level {
        match self {
            Self::H80 => Level::Info,
            Self::H27 | Self::H28 => Level::Warning,
            _ => Level::Error,
        }
    }

    /// Whose socket ended it.
    pub(crate) fn socket(self) -> Option<Socket> {
        match self {
            Self::H27 | Self::H28 => Some(Socket::Client),
            Self::H18 => Some(Socket::Backend),
            _ => None,
        }
    }

    fn row(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::H10 => ("H10", "App crashed", 503),
            Self::H11 => ("H11", "Backlog too deep", 503),
            Self::H12 => ("H12", "Request timeout", 503),
            Self::H13 => ("H13", "Connection closed without response", 503),
            Self::H14 => ("H14", "No web processes running", 503),
            Self::H15 => ("H15", "Idle connection", 503),
            Self::H17 => ("H17", "Poorly formatted HTTP response", 503),
            Self::H18 => ("H18", "Server Request Interrupted", 503),
            Self::H19 => ("H19", "Backend connection timeout", 503),
            Self::H20 => ("H20", "App boot timeout", 503),
            Self::H21 => ("H21", "Backend connection refused", 503),
            Self::H22 => ("H22", "Connection limit reached", 503),
            Self::H25 => ("H25", "HTTP Restriction", 502),
            Self::H26(Fault::Body) => ("H26", "Request Error", 400),
            Self::H26(Fault::Expectation) => ("H26", "Request Error", 417),
            Self::H27 => ("H27", "Client Request Interrupted", 499),
            Self::H28 => ("H28", "Client Connection Idle", 499),
            Self::H31 => ("H31", "Misdirected Request", 421),
            Self::H80 => ("H80", "Maintenance mode", 503),
            Self::H81 => ("H81", "Blank app", 502),
            Self::H99 => ("H99", "Platform error", 503),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_answered_as_heroku_does() {
        use Code::*;
        let table = [
            (H10, "H10", 503, Level::Error),
            (H11, "H11", 503, Level::Error),
            (H12, "H12", 503, Level::Error),
            (H13, "H13", 503, Level::Error),
            (H14, "H14", 503, Level::Error),
            (H15, "H15", 503, Level::Error),
            (H17, "H17", 503, Level::Error),
            (H18, "H18", 503, Level::Error),
            (H19, "H19", 503, Level::Error),
            (H20, "H20", 503, Level::Error),
            (H21, "H21", 503, Level::Error),
            (H22, "H22", 503, Level::Error),
            (H25, "H25", 502, Level::Error),
            (H26(Fault::Body), "H26", 400, Level::Error),
            (H26(Fault::Expectation), "H26", 417, Level::Error),
            (H27, "H27", 499, Level::Warning),
            (H28, "H28", 499, Level::Warning),
            (H31, "H31", 421, Level::Error),
            (H80, "H80", 503, Level::Info),
            (H81, "H81", 502, Level::Error),
            (H99, "H99", 503, Level::Error),
        ];
        for (code, name, status, level) in table {
            assert_eq!((code.name(), code.status().as_u16(), code.level()), (name, status, level));
        }
    }
}
