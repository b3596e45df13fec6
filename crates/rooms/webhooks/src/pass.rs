//! The reconciler: begins what is due, as long as there is a place, and collects what is too old.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until};
use vocabulary::{Timestamp, WebhookDeliveryId};

use crate::Webhooks;
use crate::attempt::INTERRUPTED;

/// How long to wait after the store failed.
const PAUSE: Duration = Duration::from_secs(5);

/// What is under way.
#[derive(Debug, Default)]
struct UnderWay {
    tasks: JoinSet<()>,
    deliveries: HashMap<Id, WebhookDeliveryId>,
}

impl UnderWay {
    /// Ends when an attempt ended; never if none is under way.
    async fn one_ended(&mut self) {
        match self.tasks.join_next_with_id().await {
            None => std::future::pending().await,
            Some(Ok((id, ()))) => drop(self.deliveries.remove(&id)),
            Some(Err(error)) => {
                tracing::error!(%error, "an attempt at a delivery ended badly");
                self.deliveries.remove(&error.id());
            }
        }
    }
}

impl Webhooks {
    /// The reconciler; runs for ever.
    pub async fn run(self) {
        let mut under_way = UnderWay::default();
        let mut collect_at = Instant::now();
        loop {
            let mut wake_at = collect_at;
            match self.pass(&mut under_way, &mut collect_at).await {
                Ok(due) => wake_at = due.map_or(collect_at, |due| collect_at.min(due)),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "could not look what is to be delivered");
                    wake_at = wake_at.max(Instant::now() + PAUSE);
                }
            }
            tokio::select! {
                () = under_way.one_ended() => {}
                () = self.store.has_events() => {}
                () = sleep_until(wake_at) => {}
            }
        }
    }

    /// Answers when the next attempt is due, if there is a place for it.
    async fn pass(&self, under_way: &mut UnderWay, collect_at: &mut Instant) -> Result<Option<Instant>, store::Error> {
        if *collect_at <= Instant::now() {
            self.recover(under_way).await?;
            self.collect().await?;
            *collect_at = Instant::now() + self.config.timer;
        }
        let now = Timestamp::now();
        self.begin(under_way).await?;
        if under_way.tasks.len() >= self.config.at_once {
            return Ok(None);
        }
        // What was due and not begun waits for one that is under way, whose end wakes as well.
        Ok(store::deliveries::next_due(&self.store, now).await?.map(|due| Instant::now() + until(due)))
    }

    async fn begin(&self, under_way: &mut UnderWay) -> Result<(), store::Error> {
        let places = self.config.at_once.saturating_sub(under_way.tasks.len());
        if places == 0 {
            return Ok(());
        }
        let mut begun = vec![];
        let mut write = self.store.write().await?;
        while begun.len() < places {
            match store::deliveries::begin(&mut write, self.config.each).await? {
                Some(delivery) => begun.push(delivery),
                None => break,
            }
        }
        // Nothing is sent before it is on the disk that it is.
        write.commit().await?;
        for delivery in begun {
            let id = delivery.id;
            let task = under_way.tasks.spawn(self.clone().attempt(delivery));
            under_way.deliveries.insert(task.id(), id);
        }
        Ok(())
    }

    /// Ends the attempts that nobody makes any more: those of an earlier process, and those whose end could not be
    /// recorded.
    async fn recover(&self, under_way: &UnderWay) -> Result<(), store::Error> {
        let ours: HashSet<_> = under_way.deliveries.values().collect();
        for delivery in store::deliveries::under_way(&self.store).await? {
            if !ours.contains(&delivery.id) {
                self.end(&delivery, INTERRUPTED).await;
            }
        }
        Ok(())
    }

    async fn collect(&self) -> Result<(), store::Error> {
        let age = i64::try_from(self.config.kept_for.as_micros()).unwrap_or(i64::MAX);
        let since = Timestamp::from_micros(Timestamp::now().micros().saturating_sub(age));
        let mut write = self.store.write().await?;
        let deliveries = store::deliveries::prune(&mut write, self.config.kept, since).await?;
        let webhooks = store::webhooks::drop_retired(&mut write).await?;
        write.commit().await?;
        if deliveries + webhooks > 0 {
            tracing::info!(deliveries, webhooks, "forgot what webhooks were told long ago");
        }
        Ok(())
    }
}

fn until(moment: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(moment.micros().saturating_sub(Timestamp::now().micros())).unwrap_or(0))
}
