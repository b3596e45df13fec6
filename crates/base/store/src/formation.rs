//! The formation: how many dynos of which size each process type of an app has.

use vocabulary::{AppId, DynoSize, FormationId, ProcessType, Timestamp};

use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// One process type's share.
#[derive(Debug, Clone)]
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
    formation(&row)
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
