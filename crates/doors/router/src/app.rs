//! A request for an app: finds a dyno, passes the request on and the answer back, and logs what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use tokio::time::{Instant, timeout, timeout_at};
use vocabulary::{AppId, DynoId};

use crate::answer::Answer;
use crate::choice::{self, Candidate};
use crate::codes::{Code, Fault};
use crate::connection::{Connection, Next};
use crate::forward::{self, Origin};
use crate::head::{Expect, Head};
use crate::load::InFlight;
use crate::outcome::{self, Event, Progress, Route, Verdict};
use crate::pages;
use crate::pipe::Inlet;
use crate::routes::{App, Dyno};
use crate::trace::{Asked, Trace};
use crate::tunnel;
use crate::upload::Upload;
use crate::upstream::{Peer, Unanswered, Upstream};
use crate::worker::Worker;

/// How many requests may wait for one app to boot, over all workers.
const WAITING: usize = 1000;

/// What became of a request that a dyno answered.
enum Passed {
    /// The answer was passed on; the connection may be used for another request or not.
    Answered { reusable: bool },
    /// The dyno agreed to another protocol.
    Switched { dyno: Upgraded, in_flight: InFlight },
}

/// Serves a request for an app to its end.
pub(crate) async fn serve(connection: &mut Connection, head: Head, host: String, app: Arc<App>) -> Next {
    let worker = connection.worker.clone();
    let fwd = forward::came_by(&head.headers, connection.client);
    let asked = Asked {
        method: head.method.to_string(),
        path: head.target.to_string(),
        host,
        request_id: forward::request_id(&head.headers),
        fwd,
        protocol: connection.protocol,
    };
    let trace = Trace::default();
    let (next, code) = Box::pin(exchange(connection, &head, &app, &asked, &trace)).await;
    worker.lines.push(app.id, trace.line(&asked, code));
    next
}

async fn exchange(
    connection: &mut Connection,
    head: &Head,
    app: &App,
    asked: &Asked,
    trace: &Trace,
) -> (Next, Option<Code>) {
    let inlet = Inlet::new(head.framing);
    let mut answer = connection.answer(head, connection.worker.timeouts.idle);
    let passed = match refused(connection, head, app) {
        Some(code) => Err(Verdict::Answer(code)),
        None => both_ways(connection, &inlet, &answer, head, app, asked, trace).await,
    };
    match passed {
        Ok(Passed::Answered { reusable }) => (Next::after(reusable && inlet.is_complete()), None),
        Ok(Passed::Switched { dyno, in_flight }) => {
            let code = through(connection, dyno, in_flight, trace).await;
            (Next::Close, code)
        }
        Err(Verdict::Cut(code)) => (Next::cut(head.version), Some(code)),
        Err(Verdict::Retry) => (Next::Cut, Some(Code::H99)),
        Err(Verdict::Answer(code)) => {
            answer.keep_alive &= inlet.is_complete() && code != Code::H22;
            // The page is a courtesy: the client may have left, and the code is logged all the same.
            let written = answer.page(pages::of_code(code)).await;
            (Next::after(answer.keep_alive && written.is_ok()), Some(code))
        }
    }
}

/// Passes the request on and the answer back, side by side with the client's half of it.
async fn both_ways(
    connection: &mut Connection,
    inlet: &Inlet,
    answer: &Answer<'_>,
    head: &Head,
    app: &App,
    asked: &Asked,
    trace: &Trace,
) -> Result<Passed, Verdict> {
    let worker = connection.worker.clone();
    let sent = Sent { worker: &worker, app: app.id, head, inlet, trace, port: connection.port, asked };
    let upload = Upload {
        stream: &answer.stream,
        buffer: &mut connection.buffer,
        framing: head.framing,
        expects: head.expect == Expect::Continue,
        idle: answer.idle,
    };
    tokio::select! {
        biased;
        passed = sent.pass(answer) => passed,
        event = upload.run(inlet) => Err(outcome::judge(event, sent.progress(outcome::DYNOS_TRIED, true))),
    }
}

/// What is refused before a dyno is looked for.
fn refused(connection: &Connection, head: &Head, app: &App) -> Option<Code> {
    if connection.is_surplus {
        return Some(Code::H22);
    }
    if connection.named_app().is_some_and(|named| named != app.id) {
        return Some(Code::H31);
    }
    (head.expect == Expect::Else).then_some(Code::H26(Fault::Expectation))
}

/// Runs a tunnel to its end; a request in flight as long as it lasts.
async fn through(connection: &mut Connection, dyno: Upgraded, in_flight: InFlight, trace: &Trace) -> Option<Code> {
    let early = std::mem::take(&mut connection.buffer);
    let ended = tunnel::run(&connection.stream, early, dyno, connection.worker.timeouts.idle, trace).await;
    drop(in_flight);
    (ended == tunnel::End::Idle).then_some(Code::H15)
}

/// A request on its way to a dyno.
struct Sent<'r> {
    worker: &'r Worker,
    app: AppId,
    head: &'r Head,
    inlet: &'r Inlet,
    trace: &'r Trace,
    port: u16,
    asked: &'r Asked,
}

impl Sent<'_> {
    /// Tries dynos until one answers, and passes its answer on.
    async fn pass(&self, answer: &Answer<'_>) -> Result<Passed, Verdict> {
        let mut tried: Vec<DynoId> = Vec::new();
        let mut failed = None;
        let mut count = 0;
        loop {
            let app = self.up().await.map_err(Verdict::Answer)?;
            let Some(dyno) = self.choose(&app, &tried) else {
                return Err(Verdict::Answer(failed.map_or(Code::H99, outcome::exhausted)));
            };
            // A dyno that left meanwhile is in the next table no more.
            let Some(in_flight) = dyno.load.enter() else { continue };
            count += 1;
            let (event, acted) = match self.attempt(&dyno, in_flight, failed.is_none(), answer).await {
                Ok(passed) => return Ok(passed),
                Err(failure) => failure,
            };
            match outcome::judge(event, self.progress(count, acted)) {
                Verdict::Retry => failed = Some(event),
                verdict => return Err(verdict),
            }
            if event != Event::DynoClosed {
                dyno.load.quarantine(self.worker.timeouts.quarantine);
                tried.push(dyno.id);
            }
        }
    }

    fn progress(&self, tries: usize, acted: bool) -> Progress {
        let acted = acted || self.inlet.has_begun();
        let sending = self.inlet.has_begun() && !self.inlet.is_complete();
        Progress { tries, acted, sending, answering: self.trace.status.get().is_some() }
    }

    /// The app once it has a web dyno; waits while it boots.
    async fn up(&self) -> Result<Arc<App>, Code> {
        let mut changes = self.worker.current.changes();
        let mut place = None;
        let deadline = Instant::now() + self.worker.timeouts.boot;
        loop {
            let app = self.worker.current.routes().app(self.app).ok_or(Code::H99)?;
            match outcome::route(app.maintenance, app.behind) {
                Route::Dynos => return Ok(app),
                Route::Refuse(code) => return Err(code),
                Route::Wait if place.is_none() => place = Some(Place::take(&app.waiting).ok_or(Code::H11)?),
                Route::Wait => {}
            }
            if timeout_at(deadline, changes.changed()).await.is_err() {
                return Err(outcome::exhausted(Event::BootTimedOut));
            }
        }
    }

    fn choose(&self, app: &App, tried: &[DynoId]) -> Option<Arc<Dyno>> {
        let candidates = app
            .dynos
            .iter()
            .map(|dyno| Candidate { tried: tried.contains(&dyno.id), quarantined: dyno.load.is_quarantined() });
        choice::choose(candidates, self.worker.random()).and_then(|index| app.dynos.get(index)).cloned()
    }

    /// One try at one dyno. A failure says what happened and whether the dyno could have acted on the request.
    async fn attempt(
        &self,
        dyno: &Dyno,
        in_flight: InFlight,
        first: bool,
        answer: &Answer<'_>,
    ) -> Result<Passed, (Event, bool)> {
        *self.trace.dyno.borrow_mut() = Some(dyno.name.clone());
        let repeatable = self.head.is_repeatable() && self.inlet.is_complete();
        let peer = Peer::Dyno(dyno.id);
        let kept = if first && repeatable { self.worker.pool.take(peer).await } else { None };
        let reused = kept.is_some();
        let mut upstream = match kept {
            Some(upstream) => self.connected(Instant::now(), upstream),
            None => self.connect(dyno).await.map_err(|event| (event, false))?,
        };
        let response = self.ask(&mut upstream).await.map_err(|(event, sent)| (event, sent && !reused))?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch(response, in_flight, answer).await.map_err(|event| (event, true));
        }
        let reusable = answer.pass_on(response, self.trace).await.map_err(|event| (event, true))?;
        if self.inlet.is_complete() && !dyno.load.has_left() {
            self.worker.pool.keep(peer, upstream);
        }
        Ok(Passed::Answered { reusable })
    }

    async fn connect(&self, dyno: &Dyno) -> Result<Upstream, Event> {
        let started = Instant::now();
        match timeout(self.worker.timeouts.connect, Upstream::to_dyno(dyno.address)).await {
            Ok(Ok(upstream)) => Ok(self.connected(started, upstream)),
            Ok(Err(_)) => Err(Event::ConnectRefused),
            Err(_) => Err(Event::ConnectTimedOut),
        }
    }

    fn connected(&self, started: Instant, upstream: Upstream) -> Upstream {
        self.trace.connect.set(Some(started.elapsed()));
        self.trace.passed_on.set(Some(Instant::now()));
        upstream
    }

    /// Sends the request and waits for the head of the answer; a failure also says whether anything was sent.
    async fn ask(&self, upstream: &mut Upstream) -> Result<Response<Incoming>, (Event, bool)> {
        let mut request = Request::new(self.inlet.outlet(self.head.framing));
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = self.head.target.clone().into();
        let Asked { fwd, protocol, request_id, .. } = self.asked;
        *request.headers_mut() = forward::to_dyno(self.head, &Origin { fwd, protocol, port: self.port, request_id });
        let timeouts = &self.worker.timeouts;
        tokio::select! {
            biased;
            response = upstream.send(request) => response.map_err(|failure| match failure {
                Unanswered::NotSent => (Event::DynoClosed, false),
                Unanswered::Closed => (Event::DynoClosed, true),
                Unanswered::Unparsable => (Event::Unparsable, true),
                Unanswered::TooLarge => (Event::HeadTooLarge, true),
            }),
            () = self.inlet.overdue(timeouts.first_byte, timeouts.idle) => Err((Event::DynoSilent, true)),
        }
    }

    /// Goes over to another protocol, if that was asked for: a dyno that changes it unasked would own what the client
    /// sends next.
    async fn switch(
        &self,
        mut response: Response<Incoming>,
        in_flight: InFlight,
        answer: &Answer<'_>,
    ) -> Result<Passed, Event> {
        if self.head.upgrade.is_none() {
            return Err(Event::Unparsable);
        }
        let dyno = hyper::upgrade::on(&mut response).await.map_err(|_| Event::DynoClosed)?;
        answer.switch(std::mem::take(response.headers_mut()), self.trace).await?;
        Ok(Passed::Switched { dyno, in_flight })
    }
}

/// A place among the requests that wait for an app; dropping it frees it.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(waiting: &Arc<AtomicUsize>) -> Option<Self> {
        let before = waiting.fetch_add(1, Relaxed);
        let place = Self(Arc::clone(waiting));
        (before < WAITING).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
