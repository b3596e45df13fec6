//! The apps that an account has marked as its favorites.

use vocabulary::{AccountId, AppId, FavoriteId, Timestamp};

use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// A favorite.
#[derive(Debug, Clone)]
pub struct Favorite {
    /// Its id.
    pub id: FavoriteId,
    /// Whose.
    pub account_id: AccountId,
    /// Which app.
    pub app_id: AppId,
    /// When it was marked.
    pub created_at: Timestamp,
}

fn favorite(row: &Row) -> Result<Favorite, Error> {
    Ok(Favorite {
        id: parsed(row, "id")?,
        account_id: parsed(row, "account_id")?,
        app_id: parsed(row, "app_id")?,
        created_at: time(row, "created_at")?,
    })
}

/// Marks an app. May be repeated: what is marked already stays as it is and is answered.
pub async fn create(write: &mut Write, account: AccountId, app: AppId) -> Result<Favorite, Error> {
    let statement = sql::query(
        "INSERT INTO favorites (id, account_id, app_id, created_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (account_id, app_id) DO NOTHING",
    )
    .bind(FavoriteId::new().to_string())
    .bind(account.to_string())
    .bind(app.to_string())
    .bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await?;
    let row = sql::query("SELECT * FROM favorites WHERE account_id = $1 AND app_id = $2")
        .bind(account.to_string())
        .bind(app.to_string());
    favorite(&row.fetch_one(&mut *write.transaction).await?)
}

/// An account's favorites, oldest first.
pub async fn list(store: &Store, account: AccountId) -> Result<Vec<Favorite>, Error> {
    let rows = sql::query("SELECT * FROM favorites WHERE account_id = $1 ORDER BY id").bind(account.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(favorite).collect()
}

/// Takes a mark away.
pub async fn delete(write: &mut Write, id: FavoriteId) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM favorites WHERE id = $1").bind(id.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
