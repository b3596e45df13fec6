//! Webhooks: who wants to be told of what happens to an app.

use std::collections::BTreeSet;

use vocabulary::{AppId, Secret, Timestamp, WebhookId, WebhookInclude, WebhookLevel};

use crate::row::{json, parsed, time, to_json};
use crate::seal::SealKey;
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// A webhook.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Of which app; it may be gone.
    pub app_id: AppId,
    /// Where it is told; may hold a secret.
    pub url: String,
    /// What it is told of.
    pub include: BTreeSet<WebhookInclude>,
    /// How often a delivery is tried.
    pub level: WebhookLevel,
    /// How many events it was not told of, as too many waited.
    pub dropped: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What only the one who delivers needs to know.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// What deliveries are signed with.
    pub secret: Secret,
    /// The `Authorization` header of deliveries.
    pub authorization: Option<Secret>,
}

fn webhook(row: &Row) -> Result<Webhook, Error> {
    Ok(Webhook {
        id: parsed(row, "id")?,
        app_id: parsed(row, "app_id")?,
        url: row.try_get("url")?,
        include: json(row, "include")?,
        level: parsed(row, "level")?,
        dropped: row.try_get("dropped")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn secret_context(id: WebhookId) -> String {
    format!("webhooks.secret/{id}")
}

fn authorization_context(id: WebhookId) -> String {
    format!("webhooks.authorization/{id}")
}

/// A webhook to make.
#[derive(Debug)]
pub struct New<'a> {
    /// Of which app.
    pub app_id: AppId,
    /// Where it is told.
    pub url: &'a str,
    /// What it is told of.
    pub include: &'a BTreeSet<WebhookInclude>,
    /// How often a delivery is tried.
    pub level: WebhookLevel,
    /// What deliveries are signed with.
    pub secret: &'a Secret,
    /// Their `Authorization` header.
    pub authorization: Option<&'a Secret>,
}

/// Makes a webhook.
pub async fn create(write: &mut Write, new: &New<'_>) -> Result<Webhook, Error> {
    let id = WebhookId::new();
    let row = sql::query(
        "INSERT INTO webhooks (id, app_id, owner, url, include, level, secret, authorization_header, created_at, \
         updated_at) VALUES ($1, $2, (SELECT COALESCE(team_id, owner_id) FROM apps WHERE id = $2), $3, $4, $5, $6, $7, \
         $8, $8) RETURNING *",
    )
    .bind(id.to_string())
    .bind(new.app_id.to_string())
    .bind(new.url)
    .bind(to_json(new.include, "include")?)
    .bind(new.level.as_str())
    .bind(write.key.seal(&secret_context(id), new.secret)?)
    .bind(sealed_authorization(&write.key, id, new.authorization)?)
    .bind(Timestamp::now().micros())
    .fetch_one(&mut *write.transaction)
    .await?;
    webhook(&row)
}

fn sealed_authorization(key: &SealKey, id: WebhookId, text: Option<&Secret>) -> Result<Option<String>, Error> {
    text.map(|text| key.seal(&authorization_context(id), text)).transpose()
}

/// What to change of a webhook; what is nothing stays as it is.
#[derive(Debug, Default)]
pub struct Change<'a> {
    /// Where it is told.
    pub url: Option<&'a str>,
    /// What it is told of.
    pub include: Option<&'a BTreeSet<WebhookInclude>>,
    /// How often a delivery is tried.
    pub level: Option<WebhookLevel>,
    /// What deliveries are signed with.
    pub secret: Option<&'a Secret>,
    /// Their `Authorization` header; the inner nothing takes it away.
    pub authorization: Option<Option<&'a Secret>>,
}

/// Changes a webhook; nothing if it is gone. What waits for its next attempt goes where the webhook points then.
pub async fn update(write: &mut Write, id: WebhookId, change: &Change<'_>) -> Result<Option<Webhook>, Error> {
    let secret = change.secret.map(|secret| write.key.seal(&secret_context(id), secret)).transpose()?;
    let authorization = sealed_authorization(&write.key, id, change.authorization.flatten())?;
    let row = sql::query(
        "UPDATE webhooks SET url = coalesce($2, url), include = coalesce($3, include), level = coalesce($4, level), \
         secret = coalesce($5, secret), updated_at = $8, authorization_header = CASE WHEN $6 = 'keep' \
         THEN authorization_header ELSE $7 END WHERE id = $1 AND removed_at IS NULL RETURNING *",
    )
    .bind(id.to_string())
    .bind(change.url)
    .bind(change.include.map(|include| to_json(include, "include")).transpose()?)
    .bind(change.level.map(WebhookLevel::as_str))
    .bind(secret)
    .bind(if change.authorization.is_some() { "set" } else { "keep" })
    .bind(authorization)
    .bind(Timestamp::now().micros());
    row.fetch_optional(&mut *write.transaction).await?.as_ref().map(webhook).transpose()
}

/// Deletes a webhook with what it was still to be told.
pub async fn delete(write: &mut Write, id: WebhookId) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM webhooks WHERE id = $1").bind(id.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// The app's webhooks are told what waits, and of nothing more: the app is gone.
pub(crate) async fn retire(write: &mut Write, app: AppId) -> Result<(), Error> {
    let statement = sql::query("UPDATE webhooks SET removed_at = $2 WHERE app_id = $1 AND removed_at IS NULL");
    statement.bind(app.to_string()).bind(Timestamp::now().micros()).execute(&mut *write.transaction).await?;
    Ok(())
}

/// The app's webhooks count for whoever has the app now.
pub(crate) async fn given(write: &mut Write, app: AppId) -> Result<(), Error> {
    let statement = sql::query(
        "UPDATE webhooks SET owner = (SELECT COALESCE(team_id, owner_id) FROM apps WHERE id = $1) WHERE app_id = $1",
    );
    statement.bind(app.to_string()).execute(&mut *write.transaction).await?;
    Ok(())
}

/// How many webhooks all apps of the team or account have that has this one.
pub async fn count_of_owner(write: &mut Write, app: AppId) -> Result<i64, Error> {
    let count = sql::query_scalar(
        "SELECT count(*) FROM webhooks WHERE removed_at IS NULL \
         AND owner = (SELECT COALESCE(team_id, owner_id) FROM apps WHERE id = $1)",
    );
    Ok(count.bind(app.to_string()).fetch_one(&mut *write.transaction).await?)
}

/// How many webhooks an app has.
pub async fn count(write: &mut Write, app: AppId) -> Result<i64, Error> {
    let count = sql::query_scalar("SELECT count(*) FROM webhooks WHERE app_id = $1 AND removed_at IS NULL");
    Ok(count.bind(app.to_string()).fetch_one(&mut *write.transaction).await?)
}

/// An app's webhooks, oldest first.
pub async fn list(store: &Store, app: AppId) -> Result<Vec<Webhook>, Error> {
    let rows = sql::query("SELECT * FROM webhooks WHERE app_id = $1 AND removed_at IS NULL ORDER BY id");
    rows.bind(app.to_string()).fetch_all(&store.readers).await?.iter().map(webhook).collect()
}

/// The webhooks of an app that want to be told of something, as the write under way sees them.
pub(crate) async fn wanting(write: &mut Write, app: AppId, include: WebhookInclude) -> Result<Vec<Webhook>, Error> {
    let rows = sql::query("SELECT * FROM webhooks WHERE app_id = $1 AND removed_at IS NULL ORDER BY id");
    let rows = rows.bind(app.to_string()).fetch_all(&mut *write.transaction).await?;
    let all = rows.iter().map(webhook).collect::<Result<Vec<_>, Error>>()?;
    Ok(all.into_iter().filter(|webhook| webhook.include.contains(&include)).collect())
}

/// A webhook and what it is delivered with, its app being gone or not; nothing if it was deleted.
pub async fn with_secrets(store: &Store, id: WebhookId) -> Result<Option<(Webhook, Secrets)>, Error> {
    let row = sql::query("SELECT * FROM webhooks WHERE id = $1").bind(id.to_string());
    let Some(row) = row.fetch_optional(&store.readers).await? else { return Ok(None) };
    let sealed: Option<String> = row.try_get("authorization_header")?;
    let secrets = Secrets {
        secret: store.key.open(&secret_context(id), &row.try_get::<String>("secret")?)?,
        authorization: sealed.map(|sealed| store.key.open(&authorization_context(id), &sealed)).transpose()?,
    };
    Ok(Some((webhook(&row)?, secrets)))
}

/// Forgets the webhooks of apps that are gone and have been told everything. Answers how many.
pub async fn drop_retired(write: &mut Write) -> Result<u64, Error> {
    let statement = sql::query(
        "DELETE FROM webhooks WHERE removed_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM webhook_deliveries \
         WHERE webhook_id = webhooks.id AND status NOT IN ('succeeded', 'failed'))",
    );
    Ok(statement.execute(&mut *write.transaction).await?.rows_affected())
}

/// Counts an event that a webhook is not told of.
pub(crate) async fn count_dropped(write: &mut Write, id: WebhookId) -> Result<(), Error> {
    let statement = sql::query("UPDATE webhooks SET dropped = dropped + 1 WHERE id = $1").bind(id.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
