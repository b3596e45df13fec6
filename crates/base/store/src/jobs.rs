//! The queue of jobs. `work` runs them; whoever records what a job is about adds it in the same write.
//!
//! Leases are in the one process that runs jobs: at its start, every running job is an orphan and queued again.

use vocabulary::Timestamp;

use crate::sql::{self, Row};
use crate::{Error, Store, Write, facts};

/// A job to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Grows with age.
    pub id: i64,
    /// Which code runs it: `build`, `release_phase`.
    pub kind: String,
    /// Jobs of one lane run one after the other, oldest first.
    pub lane: String,
    /// What it is about, as JSON.
    pub payload: String,
    /// How often it was begun before.
    pub attempts: u32,
}

fn job(row: &Row) -> Result<Job, Error> {
    Ok(Job {
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        lane: row.try_get("lane")?,
        payload: row.try_get("payload")?,
        attempts: row.try_get("attempts")?,
    })
}

/// Adds a job to the end of its lane.
pub async fn add(write: &mut Write, kind: &str, lane: &str, payload: &str) -> Result<i64, Error> {
    // Never used twice, as the number of a job that ended may still be on somebody's lips.
    let id = i64::try_from(facts::next(write, "job").await?).map_err(|_| Error::Corrupt("counter"))?;
    sql::query("INSERT INTO jobs (id, kind, lane, payload, state, created_at) VALUES ($1, $2, $3, $4, 'queued', $5)")
        .bind(id)
        .bind(kind)
        .bind(lane)
        .bind(payload)
        .bind(Timestamp::now().micros())
        .execute(&mut *write.transaction)
        .await?;
    Ok(id)
}

/// Queues every running job again: nobody runs it any more.
pub async fn requeue_orphans(write: &mut Write) -> Result<u64, Error> {
    let statement = sql::query("UPDATE jobs SET state = 'queued' WHERE state = 'running'");
    Ok(statement.execute(&mut *write.transaction).await?.rows_affected())
}

/// Takes the oldest queued job of a lane in which none runs.
pub async fn take(write: &mut Write) -> Result<Option<Job>, Error> {
    let row = sql::query(
        "UPDATE jobs SET state = 'running', attempts = attempts + 1 WHERE id = (SELECT min(id) FROM jobs AS candidate \
         WHERE state = 'queued' AND NOT EXISTS (SELECT 1 FROM jobs AS other WHERE other.lane = candidate.lane \
         AND other.state = 'running')) RETURNING id, kind, lane, payload, attempts - 1 AS attempts",
    )
    .fetch_optional(&mut *write.transaction)
    .await?;
    row.as_ref().map(job).transpose()
}

/// Forgets an ended job.
pub async fn finish(write: &mut Write, id: i64) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM jobs WHERE id = $1").bind(id);
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// How many jobs are queued or run.
pub async fn count(store: &Store) -> Result<i64, Error> {
    Ok(sql::query_scalar("SELECT count(*) FROM jobs").fetch_one(&store.readers).await?)
}

/// How many jobs are queued.
pub async fn queued(store: &Store) -> Result<i64, Error> {
    Ok(sql::query_scalar("SELECT count(*) FROM jobs WHERE state = 'queued'").fetch_one(&store.readers).await?)
}

/// Queues a running job again, at its old place.
pub async fn queue_again(write: &mut Write, id: i64) -> Result<(), Error> {
    let statement = sql::query("UPDATE jobs SET state = 'queued' WHERE id = $1").bind(id);
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
