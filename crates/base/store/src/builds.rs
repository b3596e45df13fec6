//! Builds.

use std::collections::HashSet;

use vocabulary::{AccountId, AppId, BuildEvent, BuildId, BuildStatus, Digest, ReleaseId, SlugId, Stack, Timestamp};

use crate::row::{json, parsed, parsed_option, time, to_json};
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// A build.
#[derive(Debug, Clone)]
pub struct Build {
    /// Its id.
    pub id: BuildId,
    /// Of which app.
    pub app_id: AppId,
    /// Who asked for it.
    pub account_id: AccountId,
    /// Where it stands.
    pub status: BuildStatus,
    /// The stack it builds for.
    pub stack: Stack,
    /// The source's blob.
    pub source: Digest,
    /// Whether the top folder of the source is dropped.
    pub strip_top_folder: bool,
    /// The commit, or what the caller called it.
    pub source_version: Option<String>,
    /// What the caller says of it.
    pub source_version_description: Option<String>,
    /// The buildpacks used, as the API shows them.
    pub buildpacks: Vec<String>,
    /// The slug, once there is one.
    pub slug_id: Option<SlugId>,
    /// The release, once there is one.
    pub release_id: Option<ReleaseId>,
    /// Why it failed, in one line.
    pub failure: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn build(row: &Row) -> Result<Build, Error> {
    Ok(Build {
        id: parsed(row, "id")?,
        app_id: parsed(row, "app_id")?,
        account_id: parsed(row, "account_id")?,
        status: parsed(row, "status")?,
        stack: parsed(row, "stack")?,
        source: parsed(row, "source")?,
        strip_top_folder: row.try_get("strip_top_folder")?,
        source_version: row.try_get("source_version")?,
        source_version_description: row.try_get("source_version_description")?,
        buildpacks: json(row, "buildpacks")?,
        slug_id: parsed_option(row, "slug_id")?,
        release_id: parsed_option(row, "release_id")?,
        failure: row.try_get("failure")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// What to build.
#[derive(Debug)]
pub struct New<'a> {
    /// Chosen by the caller, so that the build's output has a place before the row exists.
    pub id: BuildId,
    /// Of which app.
    pub app_id: AppId,
    /// Who asks.
    pub account_id: AccountId,
    /// The stack to build for.
    pub stack: Stack,
    /// The source's blob.
    pub source: &'a Digest,
    /// Whether the top folder of the source is dropped.
    pub strip_top_folder: bool,
    /// The commit, or what the caller calls it.
    pub source_version: Option<&'a str>,
    /// What the caller says of it.
    pub source_version_description: Option<&'a str>,
    /// Buildpacks for this build alone, or those of the app.
    pub buildpacks: &'a [String],
}

/// Makes a pending build.
pub async fn create(write: &mut Write, new: &New<'_>) -> Result<Build, Error> {
    let row = sql::query(
        "INSERT INTO builds (id, app_id, account_id, status, stack, source, strip_top_folder, source_version, \
         source_version_description, buildpacks, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) RETURNING *",
    )
    .bind(new.id.to_string())
    .bind(new.app_id.to_string())
    .bind(new.account_id.to_string())
    .bind(BuildStatus::Pending.as_str())
    .bind(new.stack.name())
    .bind(new.source.as_str())
    .bind(new.strip_top_folder)
    .bind(new.source_version)
    .bind(new.source_version_description)
    .bind(to_json(&new.buildpacks, "buildpacks")?)
    .bind(Timestamp::now().micros())
    .fetch_one(&mut *write.transaction)
    .await?;
    build(&row)
}

/// The build with this id.
pub async fn get(store: &Store, id: BuildId) -> Result<Option<Build>, Error> {
    let row = sql::query("SELECT * FROM builds WHERE id = $1").bind(id.to_string());
    row.fetch_optional(&store.readers).await?.as_ref().map(build).transpose()
}

/// An app's builds, oldest first.
pub async fn list(store: &Store, app: AppId) -> Result<Vec<Build>, Error> {
    let rows = sql::query("SELECT * FROM builds WHERE app_id = $1 ORDER BY created_at, id").bind(app.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(build).collect()
}

/// The sources of all builds that have not ended.
pub async fn pending_sources(store: &Store) -> Result<Vec<Digest>, Error> {
    let rows = sql::query("SELECT source FROM builds WHERE status = 'pending'").fetch_all(&store.readers).await?;
    rows.iter().map(|row| parsed(row, "source")).collect()
}

/// The apps that have a build that has not ended.
pub async fn apps_with_pending(store: &Store) -> Result<HashSet<AppId>, Error> {
    let rows = sql::query("SELECT app_id FROM builds WHERE status = 'pending'").fetch_all(&store.readers).await?;
    rows.iter().map(|row| parsed(row, "app_id")).collect()
}

/// The builds whose output is kept: the newest `most` of each app, those made after `since`, and those that have not
/// ended.
pub async fn with_kept_output(store: &Store, most: u32, since: Timestamp) -> Result<Vec<BuildId>, Error> {
    let rows = sql::query(
        "SELECT id FROM (SELECT id, status, created_at, row_number() OVER (PARTITION BY app_id ORDER BY created_at \
         DESC) AS place FROM builds) AS placed WHERE place <= $1 OR created_at > $2 OR status = 'pending'",
    );
    let rows = rows.bind(most).bind(since.micros()).fetch_all(&store.readers).await?;
    rows.iter().map(|row| parsed(row, "id")).collect()
}

/// What a build that succeeded made.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// The slug.
    pub slug_id: SlugId,
    /// The release.
    pub release_id: ReleaseId,
    /// The buildpacks used, as the API shows them.
    pub buildpacks: &'a [String],
}

/// Ends a pending build well. Answers false, changing nothing, if it has ended already.
pub async fn succeed(write: &mut Write, id: BuildId, outcome: &Outcome<'_>) -> Result<bool, Error> {
    if !may(write, id, BuildEvent::Succeed).await? {
        return Ok(false);
    }
    sql::query(
        "UPDATE builds SET status = $2, slug_id = $3, release_id = $4, buildpacks = $5, updated_at = $6 WHERE id = $1",
    )
    .bind(id.to_string())
    .bind(BuildStatus::Succeeded.as_str())
    .bind(outcome.slug_id.to_string())
    .bind(outcome.release_id.to_string())
    .bind(to_json(&outcome.buildpacks, "buildpacks")?)
    .bind(Timestamp::now().micros())
    .execute(&mut *write.transaction)
    .await?;
    Ok(true)
}

/// Ends a pending build badly. Answers false, changing nothing, if it has ended already.
pub async fn fail(write: &mut Write, id: BuildId, reason: &str) -> Result<bool, Error> {
    if !may(write, id, BuildEvent::Fail).await? {
        return Ok(false);
    }
    sql::query("UPDATE builds SET status = $2, failure = $3, updated_at = $4 WHERE id = $1")
        .bind(id.to_string())
        .bind(BuildStatus::Failed.as_str())
        .bind(reason)
        .bind(Timestamp::now().micros())
        .execute(&mut *write.transaction)
        .await?;
    Ok(true)
}

async fn may(write: &mut Write, id: BuildId, event: BuildEvent) -> Result<bool, Error> {
    let row = sql::query("SELECT status FROM builds WHERE id = $1").bind(id.to_string());
    let row = row.fetch_optional(&mut *write.transaction).await?;
    let status: Option<BuildStatus> = row.as_ref().map(|row| parsed(row, "status")).transpose()?;
    Ok(status.is_some_and(|status| status.after(event).is_ok()))
}
