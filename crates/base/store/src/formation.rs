//! The formation: how many dynos of which size each process type of an app has.

use serde::{Deserialize, Serialize};
use vocabulary::{AppId, DynoSize, FormationId, ProcessType, Timestamp};

use crate::events::{self, Snapshot, Thing, Watched};
use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// One process type's share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Formation {
    /// Its id.
    pub id: FormationId,
    /// Of which app.
    pub app_id: AppId,
    /// Which process type.
    pub process_type: ProcessType,
    /// How many dynos.
    pub quantity: u32,
    /// Of which size.
    pub size: DynoSize,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn formation(row: &Row) -> Result<Formation, Error> {
    Ok(Formation {
        id: parsed(row, "id")?,
        app_id: parsed(row, "app_id")?,
        process_type: parsed(row, "process_type")?,
        quantity: row.try_get("quantity")?,
        size: parsed(row, "size")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// Sets a process type's quantity and size, making its row if there is none.
pub async fn set(
    write: &mut Write,
    app: AppId,
    process_type: &ProcessType,
    quantity: u32,
    size: DynoSize,
) -> Result<Formation, Error> {
    let before = match by_type_in(write, app, process_type).await? {
        Some(entry) => events::look(write, app, Watched::Formation(entry.id)).await?,
        None => None,
    };
    let row = sql::query(
        "INSERT INTO formation (id, app_id, process_type, quantity, size, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (app_id, process_type) DO UPDATE SET \
         quantity = excluded.quantity, size = excluded.size, updated_at = excluded.updated_at RETURNING *",
    )
    .bind(FormationId::new().to_string())
    .bind(app.to_string())
    .bind(process_type.as_str())
    .bind(quantity)
    .bind(size.name())
    .bind(Timestamp::now().micros())
    .fetch_one(&mut *write.transaction)
    .await?;
    let entry = formation(&row)?;
    // A new type's is told as one that changed, from nothing: at Heroku shares are not made.
    let before = match before {
        None => events::look(write, app, Watched::Formation(entry.id)).await?.map(from_nothing),
        before => before,
    };
    events::updated(write, Watched::Formation(entry.id), before).await?;
    Ok(entry)
}

fn from_nothing(snapshot: Snapshot) -> Snapshot {
    let thing = match snapshot.thing {
        Thing::Formation(entry, command) => Thing::Formation(Formation { quantity: 0, ..entry }, command),
        thing => thing,
    };
    Snapshot { thing, ..snapshot }
}

async fn by_type_in(write: &mut Write, app: AppId, kind: &ProcessType) -> Result<Option<Formation>, Error> {
    let row = sql::query("SELECT * FROM formation WHERE app_id = $1 AND process_type = $2");
    let row = row.bind(app.to_string()).bind(kind.as_str()).fetch_optional(&mut *write.transaction).await?;
    row.as_ref().map(formation).transpose()
}

/// An app's formation, by process type. Types the current slug does not have are kept, as Heroku keeps them.
pub async fn list(store: &Store, app: AppId) -> Result<Vec<Formation>, Error> {
    let rows = sql::query("SELECT * FROM formation WHERE app_id = $1 ORDER BY process_type").bind(app.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(formation).collect()
}

/// Every app's formation, by app and process type.
pub async fn all(store: &Store) -> Result<Vec<Formation>, Error> {
    let rows = sql::query("SELECT * FROM formation ORDER BY app_id, process_type");
    rows.fetch_all(&store.readers).await?.iter().map(formation).collect()
}

/// An app's formation as the write under way sees it.
pub async fn list_in(write: &mut Write, app: AppId) -> Result<Vec<Formation>, Error> {
    let rows = sql::query("SELECT * FROM formation WHERE app_id = $1 ORDER BY process_type").bind(app.to_string());
    rows.fetch_all(&mut *write.transaction).await?.iter().map(formation).collect()
}

/// The process type's share with this id, as the write under way sees it.
pub(crate) async fn get_in(write: &mut Write, id: FormationId) -> Result<Option<Formation>, Error> {
    let row = sql::query("SELECT * FROM formation WHERE id = $1").bind(id.to_string());
    row.fetch_optional(&mut *write.transaction).await?.as_ref().map(formation).transpose()
}
