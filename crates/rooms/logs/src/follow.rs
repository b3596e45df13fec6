//! Reading what dynos print, from the rings the engine keeps.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use engine::{Engine, Event, InstanceState, Kind};
use loglines::ring::Reader;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::JoinSet;
use vocabulary::DynoId;

use crate::book::{Book, Origin};

/// How long a ring may stay without its end after the dyno's process ended, as when its shim was killed.
const UNENDED: Duration = Duration::from_secs(5);
/// How often a ring is asked for while the engine goes away and comes back.
const ATTEMPTS: usize = 20;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(100);

/// Reads the output of every dyno, from its start to its end. Never ends while the engine's handle lives.
pub(crate) async fn follow(engine: &Engine, book: &Arc<Book>) {
    let mut events = engine.events();
    let mut followers = Followers { engine, book, exits: HashMap::new(), tasks: JoinSet::new() };
    // The connection may be older than our ear for events.
    followers.look().await;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(Event::Started { id, kind, app, name }) => followers.start(kind, Origin { app, run: id, name }),
                Ok(Event::Exited { id, .. }) => followers.exited(id),
                Ok(Event::Connected) | Err(RecvError::Lagged(_)) => followers.look().await,
                Ok(_) => {}
                Err(RecvError::Closed) => return,
            },
            Some(ended) = followers.tasks.join_next() => followers.ended(ended.ok()),
        }
    }
}

struct Followers<'a> {
    engine: &'a Engine,
    book: &'a Arc<Book>,
    /// For each dyno that is followed, where to say that its process ended.
    exits: HashMap<DynoId, watch::Sender<bool>>,
    tasks: JoinSet<DynoId>,
}

impl Followers<'_> {
    /// Follows every dyno there is, and lets go of those that are gone.
    async fn look(&mut self) {
        let instances = match self.engine.list().await {
            Ok(instances) => instances,
            Err(error) => return tracing::debug!(%error, "could not look for dynos to follow"),
        };
        let there: Vec<DynoId> = instances.iter().map(|instance| instance.spec.id).collect();
        for instance in instances {
            let exited = matches!(instance.state, InstanceState::Exited(_));
            let (id, spec) = (instance.spec.id, instance.spec);
            self.start(spec.kind, Origin { app: spec.app, run: id, name: spec.name });
            if exited {
                self.exited(id);
            }
        }
        for (_, exit) in self.exits.iter().filter(|(id, _)| !there.contains(id)) {
            exit.send_replace(true);
        }
    }

    /// Follows a dyno, unless it is followed. The output of builds and release phases goes to those who wait for it,
    /// and a release phase's comes back as lines.
    fn start(&mut self, kind: Kind, from: Origin) {
        if kind != Kind::Dyno || from.name.starts_with("release.") || self.exits.contains_key(&from.run) {
            return;
        }
        let (exit, exited) = watch::channel(false);
        self.exits.insert(from.run, exit);
        let (engine, book) = (self.engine.clone(), Arc::clone(self.book));
        self.tasks.spawn(async move {
            if let Some(reader) = ring(&engine, &book, &from).await {
                read(reader, &book, &from, exited).await;
            }
            from.run
        });
    }

    fn exited(&mut self, id: DynoId) {
        if let Some(exit) = self.exits.get(&id) {
            exit.send_replace(true);
        }
    }

    /// A follower has ended; `None` if it panicked.
    fn ended(&mut self, id: Option<DynoId>) {
        if let Some(id) = id {
            self.exits.remove(&id);
        } else {
            tracing::error!("a dyno's output is not read any more: its reader panicked");
        }
    }
}

/// The dyno's ring, from where it had been read.
async fn ring(engine: &Engine, book: &Book, from: &Origin) -> Option<Reader> {
    for _ in 0..ATTEMPTS {
        match engine.output(from.run).await {
            Ok(fd) => match Reader::new(fd, book.place(from)) {
                Ok(reader) => return Some(reader),
                Err(error) => {
                    tracing::error!(%error, dyno.id = %from.run, "a dyno's output cannot be read");
                    return None;
                }
            },
            Err(engine::Error::Away) => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                tracing::warn!(%error, dyno.id = %from.run, "the engine has no output of a dyno");
                return None;
            }
        }
    }
    tracing::error!(dyno.id = %from.run, "the engine stayed away; a dyno's output is not read");
    None
}

/// Reads to the end, or for a while after the process ended if the end was never marked.
async fn read(mut reader: Reader, book: &Book, from: &Origin, mut exited: watch::Receiver<bool>) {
    let mut last = None;
    let gone = async {
        // An error is the sender's end, which is ours too.
        drop(exited.wait_for(|exited| *exited).await);
        tokio::time::sleep(UNENDED).await;
    };
    tokio::pin!(gone);
    loop {
        let batch = tokio::select! {
            biased;
            batch = reader.next() => batch,
            () = &mut gone => return,
        };
        match batch {
            Ok(batch) => {
                let (newest, ended) = (batch.records.last().map(|record| record.time), batch.ended);
                book.add_output(from, batch, last);
                last = newest.or(last);
                if ended {
                    return;
                }
            }
            Err(error) => return tracing::error!(%error, dyno.id = %from.run, "a dyno's output cannot be read"),
        }
        // A dyno that prints without end gives way to the others.
        tokio::task::yield_now().await;
    }
}
