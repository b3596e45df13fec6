//! Releases: a slug and the config vars of a moment, numbered within the app.

use serde::{Deserialize, Serialize};
use vocabulary::{
    AccountId, AppId, NotificationKind, ReleaseEvent, ReleaseId, ReleaseStatus, ReleaseVersion, SlugId, Timestamp,
};

use crate::apps::ConfigVars;
use crate::events::{self, Watched};
use crate::row::{parsed, parsed_option, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write, notifications};

/// A release.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// Of which app.
    pub app_id: AppId,
    /// Its number within the app.
    pub version: ReleaseVersion,
    /// What it runs, if anything was ever deployed.
    pub slug_id: Option<SlugId>,
    /// Where it stands.
    pub status: ReleaseStatus,
    /// `Deploy 1234567`, `Set FOO config vars`, `Rollback to v3`.
    pub description: String,
    /// Who made it.
    pub account_id: AccountId,
    /// Whether its release phase has output.
    pub has_output: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn release(row: &Row) -> Result<Release, Error> {
    Ok(Release {
        id: parsed(row, "id")?,
        app_id: parsed(row, "app_id")?,
        version: ReleaseVersion::new(row.try_get("version")?),
        slug_id: parsed_option(row, "slug_id")?,
        status: parsed(row, "status")?,
        description: row.try_get("description")?,
        account_id: parsed(row, "account_id")?,
        has_output: row.try_get("has_output")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn context(id: ReleaseId) -> String {
    format!("releases.config/{id}")
}

/// What to release.
#[derive(Debug)]
pub struct New<'a> {
    /// Of which app.
    pub app_id: AppId,
    /// What it runs.
    pub slug_id: Option<SlugId>,
    /// The config vars it runs with.
    pub config: &'a ConfigVars,
    /// [`ReleaseStatus::Pending`] if a release phase has to pass first.
    pub status: ReleaseStatus,
    /// What it is.
    pub description: &'a str,
    /// Who makes it.
    pub account_id: AccountId,
}

/// Makes the app's next release.
pub async fn create(write: &mut Write, new: &New<'_>) -> Result<Release, Error> {
    let id = ReleaseId::new();
    let row = sql::query(
        "INSERT INTO releases (id, app_id, version, slug_id, config, status, description, account_id, has_output, \
         created_at, updated_at) VALUES ($1, $2, \
         (SELECT coalesce(max(version), 0) + 1 FROM releases WHERE app_id = $2), $3, $4, $5, $6, $7, $8, $9, $9) \
         RETURNING *",
    )
    .bind(id.to_string())
    .bind(new.app_id.to_string())
    .bind(new.slug_id.map(|id| id.to_string()))
    .bind(write.key.seal(&context(id), new.config)?)
    .bind(new.status.as_str())
    .bind(new.description)
    .bind(new.account_id.to_string())
    .bind(new.status == ReleaseStatus::Pending)
    .bind(Timestamp::now().micros())
    .fetch_one(&mut *write.transaction)
    .await?;
    events::created(write, new.app_id, Watched::Release(id)).await?;
    release(&row)
}

/// Ends a pending release. Answers false, changing nothing, if it has ended already.
pub async fn end(write: &mut Write, id: ReleaseId, event: ReleaseEvent) -> Result<bool, Error> {
    let Some(release) = get_in(write, id).await? else { return Ok(false) };
    let Ok(next) = release.status.after(event) else { return Ok(false) };
    let before = events::look(write, release.app_id, Watched::Release(id)).await?;
    sql::query("UPDATE releases SET status = $2, updated_at = $3 WHERE id = $1")
        .bind(id.to_string())
        .bind(next.as_str())
        .bind(Timestamp::now().micros())
        .execute(&mut *write.transaction)
        .await?;
    events::updated(write, Watched::Release(id), before).await?;
    if next == ReleaseStatus::Failed {
        let (name, kind) = (release.version.to_string(), NotificationKind::ReleaseFailed);
        notifications::tell(write, release.account_id, release.app_id, kind, Some(&name)).await?;
    }
    Ok(true)
}

/// Says of every release of a slug that succeeded that nothing goes back to it any more.
pub async fn expire(write: &mut Write, slug: SlugId) -> Result<(), Error> {
    let rows = sql::query("SELECT id FROM releases WHERE slug_id = $1").bind(slug.to_string());
    for row in rows.fetch_all(&mut *write.transaction).await? {
        // One that failed has no such move, and stays as it is.
        end(write, parsed(&row, "id")?, ReleaseEvent::Expire).await?;
    }
    Ok(())
}

/// A release with a slug that is not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The release.
    pub id: ReleaseId,
    /// Of which app.
    pub app_id: AppId,
    /// Its slug.
    pub slug_id: SlugId,
    /// Where it stands.
    pub status: ReleaseStatus,
    /// How many releases of the app are newer.
    pub newer: i64,
    /// Whether a dyno runs it.
    pub has_dynos: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Every release with a slug that is not deleted, of each app the newest first, as the write under way sees it.
pub async fn holding_in(write: &mut Write) -> Result<Vec<Holding>, Error> {
    let rows = sql::query(
        "SELECT releases.id, releases.app_id, releases.slug_id, releases.status, releases.created_at, \
         (SELECT max(other.version) FROM releases AS other WHERE other.app_id = releases.app_id) - releases.version \
         AS newer, EXISTS (SELECT 1 FROM dynos WHERE dynos.release_id = releases.id) AS has_dynos \
         FROM releases JOIN slugs ON slugs.id = releases.slug_id WHERE slugs.deleted_at IS NULL \
         ORDER BY releases.app_id, releases.version DESC",
    );
    let holding = |row: &Row| {
        Ok(Holding {
            id: parsed(row, "id")?,
            app_id: parsed(row, "app_id")?,
            slug_id: parsed(row, "slug_id")?,
            status: parsed(row, "status")?,
            newer: row.try_get("newer")?,
            has_dynos: row.try_get("has_dynos")?,
            created_at: time(row, "created_at")?,
        })
    };
    rows.fetch_all(&mut *write.transaction).await?.iter().map(holding).collect()
}

/// The releases with an output that is kept: the newest `most` of each app, those made after `since`, and those that
/// are pending.
pub async fn with_kept_output(store: &Store, most: u32, since: Timestamp) -> Result<Vec<ReleaseId>, Error> {
    let rows = sql::query(
        "SELECT id FROM (SELECT id, status, created_at, row_number() OVER (PARTITION BY app_id ORDER BY version DESC) \
         AS place FROM releases WHERE has_output = 1) AS placed WHERE place <= $1 OR created_at > $2 OR status = 'pending'",
    );
    let rows = rows.bind(most).bind(since.micros()).fetch_all(&store.readers).await?;
    rows.iter().map(|row| parsed(row, "id")).collect()
}

/// The release with this id.
pub async fn get(store: &Store, id: ReleaseId) -> Result<Option<Release>, Error> {
    let row = sql::query("SELECT * FROM releases WHERE id = $1").bind(id.to_string());
    row.fetch_optional(&store.readers).await?.as_ref().map(release).transpose()
}

/// The release of an app with this number.
pub async fn by_version(store: &Store, app: AppId, version: ReleaseVersion) -> Result<Option<Release>, Error> {
    let row = sql::query("SELECT * FROM releases WHERE app_id = $1 AND version = $2")
        .bind(app.to_string())
        .bind(version.number());
    row.fetch_optional(&store.readers).await?.as_ref().map(release).transpose()
}

/// An app's releases, oldest first.
pub async fn list(store: &Store, app: AppId) -> Result<Vec<Release>, Error> {
    let rows = sql::query("SELECT * FROM releases WHERE app_id = $1 ORDER BY version").bind(app.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(release).collect()
}

/// The current release: the newest that succeeded.
pub async fn current(store: &Store, app: AppId) -> Result<Option<Release>, Error> {
    let row =
        sql::query("SELECT * FROM releases WHERE app_id = $1 AND status = 'succeeded' ORDER BY version DESC LIMIT 1");
    row.bind(app.to_string()).fetch_optional(&store.readers).await?.as_ref().map(release).transpose()
}

/// The current release of every app that has one.
pub async fn all_current(store: &Store) -> Result<Vec<Release>, Error> {
    let rows = sql::query(
        "SELECT * FROM releases WHERE status = 'succeeded' AND version = (SELECT max(version) FROM releases AS other \
         WHERE other.app_id = releases.app_id AND other.status = 'succeeded')",
    );
    rows.fetch_all(&store.readers).await?.iter().map(release).collect()
}

/// An app's releases as the write under way sees them, newest first.
pub async fn list_in(write: &mut Write, app: AppId) -> Result<Vec<Release>, Error> {
    let rows = sql::query("SELECT * FROM releases WHERE app_id = $1 ORDER BY version DESC");
    rows.bind(app.to_string()).fetch_all(&mut *write.transaction).await?.iter().map(release).collect()
}

/// The newest release of an app whatever its status, as the write under way sees it.
pub async fn newest_in(write: &mut Write, app: AppId) -> Result<Option<Release>, Error> {
    let row = sql::query("SELECT * FROM releases WHERE app_id = $1 ORDER BY version DESC LIMIT 1");
    row.bind(app.to_string()).fetch_optional(&mut *write.transaction).await?.as_ref().map(release).transpose()
}

/// Every release that is pending, oldest first.
pub async fn pending(store: &Store) -> Result<Vec<Release>, Error> {
    let rows = sql::query("SELECT * FROM releases WHERE status = 'pending' ORDER BY created_at");
    rows.fetch_all(&store.readers).await?.iter().map(release).collect()
}

/// The config vars a release runs with.
pub async fn config_vars(store: &Store, id: ReleaseId) -> Result<ConfigVars, Error> {
    let sealed: Option<String> = sql::query_scalar("SELECT config FROM releases WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(&store.readers)
        .await?;
    sealed.map_or(Ok(ConfigVars::new()), |sealed| store.key.open(&context(id), &sealed))
}

/// The release with this id, as the write under way sees it.
pub(crate) async fn get_in(write: &mut Write, id: ReleaseId) -> Result<Option<Release>, Error> {
    let row = sql::query("SELECT * FROM releases WHERE id = $1").bind(id.to_string());
    row.fetch_optional(&mut *write.transaction).await?.as_ref().map(release).transpose()
}

/// The current release of an app, as the write under way sees it.
pub(crate) async fn current_in(write: &mut Write, app: AppId) -> Result<Option<ReleaseId>, Error> {
    let row =
        sql::query("SELECT id FROM releases WHERE app_id = $1 AND status = 'succeeded' ORDER BY version DESC LIMIT 1");
    row.bind(app.to_string())
        .fetch_optional(&mut *write.transaction)
        .await?
        .as_ref()
        .map(|row| parsed(row, "id"))
        .transpose()
}
