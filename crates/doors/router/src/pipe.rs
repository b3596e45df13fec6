//! A request's body on its way from the client to the dyno: one piece at a time, and only when the dyno's side asks.
//!
//! ```text
//! client ──read──▶ Inlet ──one piece──▶ Outlet ──poll_frame──▶ hyper ──▶ dyno
//! ```
//!
//! Asking first gives back-pressure without a buffer, tells when to say `100 Continue`, and keeps a request whose body
//! nobody asked for yet fit to be sent to another dyno.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::framing::Framing;

/// What both ends see.
#[derive(Debug, Default)]
struct Middle {
    /// The dyno's side asked for a piece.
    asked: Cell<bool>,
    /// The dyno's side asked at least once.
    begun: Cell<bool>,
    /// The piece under way.
    piece: RefCell<Option<Bytes>>,
    /// The client's side gave the last piece.
    complete: Cell<bool>,
    /// Who waits for a piece.
    taker: RefCell<Option<Waker>>,
    /// Told of every change.
    moved: Notify,
}

/// The client's end.
#[derive(Debug)]
pub(crate) struct Inlet(Rc<Middle>);

/// The dyno's end: a body for hyper. A request that is sent again gets a new one of the same [`Inlet`].
#[derive(Debug)]
pub(crate) struct Outlet {
    middle: Rc<Middle>,
    length: Option<u64>,
}

impl Inlet {
    /// A pipe for a body.
    pub(crate) fn new(framing: Framing) -> Self {
        let middle = Middle::default();
        middle.complete.set(framing.is_empty());
        Self(Rc::new(middle))
    }

    /// An end for a dyno.
    pub(crate) fn outlet(&self, framing: Framing) -> Outlet {
        let length = match framing {
            Framing::None => Some(0),
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        Outlet { middle: Rc::clone(&self.0), length }
    }

    /// Waits until the dyno's side asks for a piece.
    pub(crate) async fn asked(&self) {
        while !self.0.asked.get() {
            self.0.moved.notified().await;
        }
    }

    /// Gives a piece.
    pub(crate) fn give(&self, piece: Bytes) {
        self.0.asked.set(false);
        *self.0.piece.borrow_mut() = Some(piece);
        self.0.moved();
    }

    /// Says that there are no more pieces.
    pub(crate) fn complete(&self) {
        self.0.complete.set(true);
        self.0.moved();
    }

    /// Whether all pieces were given.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.complete.get()
    }

    /// Whether any piece was asked for.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.begun.get()
    }

    /// Comes back when the dyno is late: `first_byte` after the request was complete, or when it takes nothing of the
    /// body for `idle` (Heroku Dev Center, "Request Timeout": the countdown begins after the entire request was sent).
    pub(crate) async fn overdue(&self, first_byte: Duration, idle: Duration) {
        while !self.is_complete() {
            let still = timeout(idle, self.0.moved.notified()).await.is_err();
            if still && !self.0.asked.get() {
                return;
            }
        }
        sleep(first_byte).await;
    }
}

impl Middle {
    fn moved(&self) {
        self.moved.notify_waiters();
        if let Some(taker) = self.taker.borrow_mut().take() {
            taker.wake();
        }
    }
}

impl Body for Outlet {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let middle = &self.middle;
        if let Some(piece) = middle.piece.borrow_mut().take() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if middle.complete.get() {
            return Poll::Ready(None);
        }
        *middle.taker.borrow_mut() = Some(context.waker().clone());
        middle.asked.set(true);
        middle.begun.set(true);
        middle.moved.notify_waiters();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.middle.complete.get() && self.middle.piece.borrow().is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
