//! What becomes of a request for an app: the whole of Heroku's H-code rules as functions without sockets or clocks.
//!
//! ```text
//!            route()                    judge()
//! request ──▶ Dynos ──▶ connect ──▶ send ──▶ waiting ──▶ answering ──▶ served (at=info)
//!         ├─▶ Wait (75 s, H20)  │        │        │           │
//!         └─▶ H10 H14 H80 H81   │ H19 H21│ H13    │ H12 H13   │ H15 H18     the dyno
//!                               └────────┴─ Retry │ H17 H25   │
//!                                     H26 H27 H28 ┴───────────┴───────      the client
//! ```

use crate::codes::{Code, Fault};

/// How many dynos are tried before a connection that fails is the request's end (Heroku: 10).
pub(crate) const DYNOS_TRIED: usize = 10;

/// What stands behind an app, as far as the first decision goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    /// Nothing was ever released.
    Blank,
    /// No web dynos are wanted.
    NoDynos,
    /// They start.
    Booting,
    /// They crashed.
    Crashed,
    /// At least one is up.
    Up,
}

/// Where a request goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// To one of the dynos.
    Dynos,
    /// Nowhere until a table says otherwise or the time is up.
    Wait,
    /// Nowhere.
    Refuse(Code),
}

/// Where a request for an app goes.
pub(crate) fn route(maintenance: bool, behind: Behind) -> Route {
    match behind {
        _ if maintenance => Route::Refuse(Code::H80),
        Behind::Blank => Route::Refuse(Code::H81),
        Behind::NoDynos => Route::Refuse(Code::H14),
        Behind::Crashed => Route::Refuse(Code::H10),
        Behind::Booting => Route::Wait,
        Behind::Up => Route::Dynos,
    }
}

/// What can happen to a request on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// No web dyno was up in time.
    BootTimedOut,
    /// The dyno did not take the connection in time.
    ConnectTimedOut,
    /// The dyno, or the network, refused the connection.
    ConnectRefused,
    /// The dyno closed the connection.
    DynoClosed,
    /// The dyno sent something that is no answer.
    Unparsable,
    /// The dyno's head is larger than allowed.
    HeadTooLarge,
    /// The dyno was silent for too long.
    DynoSilent,
    /// The client closed the connection.
    ClientLeft,
    /// The client was silent, or took nothing, for too long.
    ClientIdle,
    /// The client's body cannot be read.
    ClientMalformed,
}

/// How far a request got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// Dynos tried, this one included.
    pub(crate) tries: usize,
    /// Whether the dyno could already have acted on it: some of it was sent on a connection made for it, or what was
    /// sent may not be repeated.
    pub(crate) acted: bool,
    /// Whether its body is on its way, begun and not complete.
    pub(crate) sending: bool,
    /// Whether the answer's head reached the client.
    pub(crate) answering: bool,
}

/// What becomes of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is sent again, to another dyno if there is one.
    Retry,
    /// The client gets the code's page.
    Answer(Code),
    /// The connection is cut, since the answer is under way or nobody is there to read one. A clean end would make a
    /// truncated answer look whole.
    Cut(Code),
}

/// Judges an event by how far the request got.
pub(crate) fn judge(event: Event, progress: Progress) -> Verdict {
    let code = match event {
        Event::BootTimedOut => Code::H20,
        Event::ConnectTimedOut | Event::ConnectRefused if progress.tries < DYNOS_TRIED => return Verdict::Retry,
        Event::ConnectTimedOut => Code::H19,
        Event::ConnectRefused => Code::H21,
        Event::DynoClosed | Event::Unparsable if progress.answering => Code::H18,
        Event::DynoClosed if progress.sending => Code::H18,
        Event::DynoClosed if !progress.acted && progress.tries < DYNOS_TRIED => return Verdict::Retry,
        Event::DynoClosed => Code::H13,
        Event::Unparsable => Code::H17,
        Event::HeadTooLarge => Code::H25,
        Event::DynoSilent if progress.answering => Code::H15,
        Event::DynoSilent => Code::H12,
        Event::ClientLeft => return Verdict::Cut(Code::H27),
        Event::ClientIdle => return Verdict::Cut(Code::H28),
        Event::ClientMalformed => Code::H26(Fault::Body),
    };
    if progress.answering { Verdict::Cut(code) } else { Verdict::Answer(code) }
}

/// The code of a connection that failed with no dyno left to try.
pub(crate) fn exhausted(event: Event) -> Code {
    match judge(event, Progress { tries: DYNOS_TRIED, ..Progress::default() }) {
        Verdict::Answer(code) | Verdict::Cut(code) => code,
        Verdict::Retry => Code::H99,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_an_app_decides_first() {
        assert_eq!(route(false, Behind::Up), Route::Dynos);
        assert_eq!(route(false, Behind::Booting), Route::Wait);
        assert_eq!(route(false, Behind::Blank), Route::Refuse(Code::H81));
        assert_eq!(route(false, Behind::NoDynos), Route::Refuse(Code::H14));
        assert_eq!(route(false, Behind::Crashed), Route::Refuse(Code::H10));
        for behind in [Behind::Up, Behind::Booting, Behind::Blank, Behind::NoDynos, Behind::Crashed] {
            assert_eq!(route(true, behind), Route::Refuse(Code::H80));
        }
    }

    #[test]
    fn a_connection_that_fails_is_tried_elsewhere_ten_times() {
        for (event, code) in [(Event::ConnectTimedOut, Code::H19), (Event::ConnectRefused, Code::H21)] {
            assert_eq!(judge(event, Progress { tries: 9, ..Progress::default() }), Verdict::Retry);
            assert_eq!(judge(event, Progress { tries: 10, ..Progress::default() }), Verdict::Answer(code));
            assert_eq!(exhausted(event), code);
        }
    }

    #[test]
    fn a_request_is_only_sent_again_if_no_dyno_could_have_acted_on_it() {
        let progress = Progress { tries: 1, ..Progress::default() };
        assert_eq!(judge(Event::DynoClosed, progress), Verdict::Retry);
        assert_eq!(judge(Event::DynoClosed, Progress { acted: true, ..progress }), Verdict::Answer(Code::H13));
        assert_eq!(judge(Event::DynoClosed, Progress { tries: 10, ..progress }), Verdict::Answer(Code::H13));
    }

    #[test]
    fn before_the_answer_the_client_gets_a_page() {
        let progress = Progress { tries: 1, acted: true, ..Progress::default() };
        assert_eq!(judge(Event::DynoClosed, Progress { sending: true, ..progress }), Verdict::Answer(Code::H18));
        for (event, code) in [
            (Event::BootTimedOut, Code::H20),
            (Event::DynoSilent, Code::H12),
            (Event::Unparsable, Code::H17),
            (Event::HeadTooLarge, Code::H25),
            (Event::ClientMalformed, Code::H26(Fault::Body)),
        ] {
            assert_eq!(judge(event, progress), Verdict::Answer(code));
        }
    }

    #[test]
    fn in_the_answer_the_connection_is_cut() {
        let progress = Progress { tries: 1, acted: true, answering: true, ..Progress::default() };
        for (event, code) in [
            (Event::DynoClosed, Code::H18),
            (Event::Unparsable, Code::H18),
            (Event::DynoSilent, Code::H15),
            (Event::ClientLeft, Code::H27),
            (Event::ClientIdle, Code::H28),
            (Event::ClientMalformed, Code::H26(Fault::Body)),
        ] {
            assert_eq!(judge(event, progress), Verdict::Cut(code));
        }
    }

    #[test]
    fn a_client_that_left_gets_nothing() {
        assert_eq!(judge(Event::ClientLeft, Progress::default()), Verdict::Cut(Code::H27));
        assert_eq!(judge(Event::ClientIdle, Progress::default()), Verdict::Cut(Code::H28));
    }
}
