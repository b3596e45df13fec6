//! Deliveries: one event for one webhook, and how far it got.

use vocabulary::{
    AppId, DeliveryEvent, DeliveryStatus, Timestamp, WebhookAttemptId, WebhookDeliveryId, WebhookEventId, WebhookId,
    WebhookInclude, WebhookLevel,
};

use crate::part::{Between, Part};
use crate::row::{parsed, parsed_option, time, time_option};
use crate::sql::{self, Row};
use crate::{Error, Store, Write, facts};

/// The most deliveries of one webhook that wait; of what happens beyond, it is not told, and that is counted.
const MOST_WAITING: i64 = 1000;
/// The most of all webhooks of one owner: what one account with many apps can fill the outbox with.
const MOST_OF_OWNER: i64 = 10_000;

/// A delivery.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its id.
    pub id: WebhookDeliveryId,
    /// Grows with age.
    pub sequence: i64,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// How often that is tried.
    pub level: WebhookLevel,
    /// What is told.
    pub event_id: WebhookEventId,
    /// What it is about.
    pub include: WebhookInclude,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// How many attempts were begun.
    pub attempts: i64,
    /// When the next attempt is due; nothing once it ended.
    pub next_attempt_at: Option<Timestamp>,
    /// The last attempt; nothing before the first.
    pub last_attempt: Option<Attempt>,
    /// When the event happened.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// One try.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its id; the receiver is told.
    pub id: WebhookAttemptId,
    /// The status that was answered.
    pub code: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
}

/// The columns of a [`Delivery`].
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT deliveries.*, webhooks.level, events.include FROM webhook_deliveries AS deliveries ",
            "JOIN webhooks ON webhooks.id = deliveries.webhook_id ",
            "JOIN webhook_events AS events ON events.id = deliveries.event_id ",
            $rest
        )
    };
}

fn delivery(row: &Row) -> Result<Delivery, Error> {
    Ok(Delivery {
        id: parsed(row, "id")?,
        sequence: row.try_get("sequence")?,
        webhook_id: parsed(row, "webhook_id")?,
        level: parsed(row, "level")?,
        event_id: parsed(row, "event_id")?,
        include: parsed(row, "include")?,
        status: parsed(row, "status")?,
        attempts: row.try_get("attempts")?,
        next_attempt_at: time_option(row, "next_attempt_at")?,
        last_attempt: attempt(row)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn attempt(row: &Row) -> Result<Option<Attempt>, Error> {
    let (id, begun) = (parsed_option(row, "attempt_id")?, time_option(row, "attempt_at")?);
    let (Some(id), Some(created_at)) = (id, begun) else { return Ok(None) };
    let code: Option<i64> = row.try_get("attempt_code")?;
    let code = code.map(u16::try_from).transpose().map_err(|_| Error::Corrupt("attempt_code"))?;
    Ok(Some(Attempt { id, code, error: row.try_get("attempt_error")?, created_at }))
}

/// Adds a delivery that is due at once, unless too many of the webhook's wait already, or of its owner's. Answers whether
/// it did.
pub(crate) async fn add(
    write: &mut Write,
    webhook: WebhookId,
    event: WebhookEventId,
    thing: &str,
    of_owner: i64,
) -> Result<bool, Error> {
    if of_owner >= MOST_OF_OWNER || waiting(write, webhook).await? >= MOST_WAITING {
        return Ok(false);
    }
    let sequence = facts::next(write, "webhook_delivery").await?;
    sql::query(
        "INSERT INTO webhook_deliveries (sequence, id, webhook_id, event_id, thing_id, status, next_attempt_at, \
         created_at, updated_at) VALUES ($1, $2, $3, $4, $5, 'pending', $6, $6, $6)",
    )
    .bind(i64::try_from(sequence).map_err(|_| Error::Corrupt("counter"))?)
    .bind(WebhookDeliveryId::new().to_string())
    .bind(webhook.to_string())
    .bind(event.to_string())
    .bind(thing)
    .bind(Timestamp::now().micros())
    .execute(&mut *write.transaction)
    .await?;
    Ok(true)
}

async fn waiting(write: &mut Write, webhook: WebhookId) -> Result<i64, Error> {
    let count = sql::query_scalar(
        "SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1 AND status NOT IN ('succeeded', 'failed')",
    );
    Ok(count.bind(webhook.to_string()).fetch_one(&mut *write.transaction).await?)
}

/// What waits of all webhooks of whoever has this app, counted no further than it matters.
pub(crate) async fn waiting_of_owner(write: &mut Write, app: AppId) -> Result<i64, Error> {
    let count = sql::query_scalar(
        "SELECT count(*) FROM (SELECT 1 AS one FROM webhook_deliveries JOIN webhooks ON webhooks.id = webhook_id \
         WHERE owner = (SELECT COALESCE(team_id, owner_id) FROM apps WHERE id = $1) AND next_attempt_at IS NOT NULL \
         LIMIT $2) AS counted",
    );
    Ok(count.bind(app.to_string()).bind(MOST_OF_OWNER).fetch_one(&mut *write.transaction).await?)
}

/// How many attempts may be under way of one app, and of all apps of one owner.
#[derive(Debug, Clone, Copy)]
pub struct AtOnce {
    /// Of one app.
    pub of_one_app: i64,
    /// Of all apps of one owner.
    pub of_one_owner: i64,
}

/// Begins an attempt of the delivery that has been due for longest, of a webhook of which none is under way, of a thing
/// of which no older one waits, and of an app and an owner of which fewer than `most` are under way. `None` if there is
/// no such.
pub async fn begin(write: &mut Write, most: AtOnce) -> Result<Option<Delivery>, Error> {
    let now = Timestamp::now();
    // What is under way is little, and the same for each that is due: no subquery but the one of the thing depends on it.
    let row = sql::query(select!(
        "WHERE deliveries.next_attempt_at <= $1 AND deliveries.status IN ('pending', 'retrying') \
         AND deliveries.webhook_id NOT IN (SELECT webhook_id FROM webhook_deliveries WHERE status = 'scheduled') \
         AND webhooks.app_id NOT IN (SELECT its.app_id FROM webhook_deliveries AS other JOIN webhooks AS its \
         ON its.id = other.webhook_id WHERE other.status = 'scheduled' GROUP BY its.app_id HAVING count(*) >= $2) \
         AND webhooks.owner NOT IN (SELECT its.owner FROM webhook_deliveries AS other JOIN webhooks AS its \
         ON its.id = other.webhook_id WHERE other.status = 'scheduled' GROUP BY its.owner HAVING count(*) >= $3) \
         AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS other WHERE other.webhook_id = deliveries.webhook_id \
         AND other.thing_id = deliveries.thing_id AND other.sequence < deliveries.sequence \
         AND other.next_attempt_at IS NOT NULL) ORDER BY deliveries.next_attempt_at, deliveries.sequence LIMIT 1"
    ));
    let row = row.bind(now.micros()).bind(most.of_one_app).bind(most.of_one_owner);
    let row = row.fetch_optional(&mut *write.transaction).await?;
    let Some(mut delivery) = row.as_ref().map(delivery).transpose()? else { return Ok(None) };
    delivery.status = delivery.status.after(DeliveryEvent::Begin).map_err(|_| Error::Corrupt("status"))?;
    delivery.attempts += 1;
    let attempt = Attempt { id: WebhookAttemptId::new(), code: None, error: None, created_at: now };
    sql::query(
        "UPDATE webhook_deliveries SET status = $2, attempts = $3, attempt_id = $4, attempt_at = $5, \
         attempt_code = NULL, attempt_error = NULL, updated_at = $5 WHERE id = $1",
    )
    .bind(delivery.id.to_string())
    .bind(delivery.status.as_str())
    .bind(delivery.attempts)
    .bind(attempt.id.to_string())
    .bind(now.micros())
    .execute(&mut *write.transaction)
    .await?;
    delivery.last_attempt = Some(attempt);
    Ok(Some(delivery))
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What that means for the delivery.
    pub event: DeliveryEvent,
    /// The status that was answered.
    pub code: Option<u16>,
    /// Why there was no answer.
    pub error: Option<&'static str>,
    /// When the next attempt is due.
    pub next_attempt_at: Option<Timestamp>,
}

/// Ends the attempt under way. Answers false, changing nothing, if the delivery is gone or has no such move.
pub async fn end(write: &mut Write, id: WebhookDeliveryId, ended: &Ended) -> Result<bool, Error> {
    let row = sql::query("SELECT status FROM webhook_deliveries WHERE id = $1").bind(id.to_string());
    let row = row.fetch_optional(&mut *write.transaction).await?;
    let status: Option<DeliveryStatus> = row.as_ref().map(|row| parsed(row, "status")).transpose()?;
    let Some(Ok(next)) = status.map(|status| status.after(ended.event)) else { return Ok(false) };
    sql::query(
        "UPDATE webhook_deliveries SET status = $2, attempt_code = $3, attempt_error = $4, next_attempt_at = $5, \
         updated_at = $6 WHERE id = $1",
    )
    .bind(id.to_string())
    .bind(next.as_str())
    .bind(ended.code.map(i64::from))
    .bind(ended.error)
    .bind(ended.next_attempt_at.map(Timestamp::micros))
    .bind(Timestamp::now().micros())
    .execute(&mut *write.transaction)
    .await?;
    Ok(true)
}

/// The deliveries whose attempt is under way; after a start, those that the end of the process cut off.
pub async fn under_way(store: &Store) -> Result<Vec<Delivery>, Error> {
    let rows = sql::query(select!("WHERE deliveries.status = 'scheduled' ORDER BY deliveries.sequence"));
    rows.fetch_all(&store.readers).await?.iter().map(delivery).collect()
}

/// When the next attempt after `now` is due. Those due before that could not begin, and wait for something else.
pub async fn next_due(store: &Store, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let next: Option<i64> = sql::query_scalar(
        "SELECT min(next_attempt_at) FROM webhook_deliveries WHERE status IN ('pending', 'retrying') \
         AND next_attempt_at > $1",
    )
    .bind(now.micros())
    .fetch_one(&store.readers)
    .await?;
    Ok(next.map(Timestamp::from_micros))
}

/// A part of an app's deliveries, of those alone that stand so if a status is given.
pub async fn list(
    store: &Store,
    app: AppId,
    status: Option<DeliveryStatus>,
    part: &Part,
) -> Result<Vec<Delivery>, Error> {
    let rows = match (&part.between, part.descending) {
        (Between::Sequence(..), false) => {
            select!(
                "WHERE webhooks.app_id = $1 AND webhooks.removed_at IS NULL AND ($2 = '' OR deliveries.status = $2) \
             AND deliveries.sequence BETWEEN $3 AND $4 \
             ORDER BY deliveries.sequence LIMIT $5"
            )
        }
        (Between::Sequence(..), true) => {
            select!(
                "WHERE webhooks.app_id = $1 AND webhooks.removed_at IS NULL AND ($2 = '' OR deliveries.status = $2) \
             AND deliveries.sequence BETWEEN $3 AND $4 \
             ORDER BY deliveries.sequence DESC LIMIT $5"
            )
        }
        (Between::Id(..), false) => {
            select!(
                "WHERE webhooks.app_id = $1 AND webhooks.removed_at IS NULL AND ($2 = '' OR deliveries.status = $2) \
             AND deliveries.id BETWEEN $3 AND $4 ORDER BY deliveries.id LIMIT $5"
            )
        }
        (Between::Id(..), true) => {
            select!(
                "WHERE webhooks.app_id = $1 AND webhooks.removed_at IS NULL AND ($2 = '' OR deliveries.status = $2) \
             AND deliveries.id BETWEEN $3 AND $4 ORDER BY deliveries.id DESC LIMIT $5"
            )
        }
    };
    let query = sql::query(rows).bind(app.to_string()).bind(status.map_or("", DeliveryStatus::as_str));
    part.bind(query).fetch_all(&store.readers).await?.iter().map(delivery).collect()
}

/// The delivery with this id, if [`list`] shows it for this app.
pub async fn of_app(store: &Store, app: AppId, id: WebhookDeliveryId) -> Result<Option<Delivery>, Error> {
    let row = sql::query(select!("WHERE deliveries.id = $2 AND webhooks.app_id = $1 AND webhooks.removed_at IS NULL"));
    let row = row.bind(app.to_string()).bind(id.to_string());
    row.fetch_optional(&store.readers).await?.as_ref().map(delivery).transpose()
}

/// Forgets ended deliveries made before `since`, and of each webhook all but the newest `most`; then the events nobody
/// was told of. Answers how many deliveries.
pub async fn prune(write: &mut Write, most: u32, since: Timestamp) -> Result<u64, Error> {
    let statement = sql::query(
        "DELETE FROM webhook_deliveries WHERE status IN ('succeeded', 'failed') AND (created_at < $2 \
         OR sequence IN (SELECT sequence FROM (SELECT sequence, row_number() OVER (PARTITION BY webhook_id \
         ORDER BY sequence DESC) AS place FROM webhook_deliveries) AS placed WHERE place > $1))",
    );
    let gone = statement.bind(most).bind(since.micros()).execute(&mut *write.transaction).await?.rows_affected();
    sql::query(
        "DELETE FROM webhook_events WHERE NOT EXISTS (SELECT 1 FROM webhook_deliveries \
         WHERE event_id = webhook_events.id)",
    )
    .execute(&mut *write.transaction)
    .await?;
    Ok(gone)
}
