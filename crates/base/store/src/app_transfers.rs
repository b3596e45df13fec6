//! Apps on their way from one account to another.

use vocabulary::{
    AccountId, AppId, AppName, AppTransferId, NotificationKind, Timestamp, TransferEvent, TransferStatus,
};

use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write, notifications};

/// A transfer.
#[derive(Debug, Clone)]
pub struct AppTransfer {
    /// Its id.
    pub id: AppTransferId,
    /// Which app.
    pub app_id: AppId,
    /// Its name.
    pub app_name: AppName,
    /// From whom.
    pub owner_id: AccountId,
    /// To whom.
    pub recipient_id: AccountId,
    /// Where it stands.
    pub state: TransferStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn transfer(row: &Row) -> Result<AppTransfer, Error> {
    Ok(AppTransfer {
        id: parsed(row, "id")?,
        app_id: parsed(row, "app_id")?,
        app_name: parsed(row, "app_name")?,
        owner_id: parsed(row, "owner_id")?,
        recipient_id: parsed(row, "recipient_id")?,
        state: parsed(row, "state")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// Offers an app. Fails with [`Error::Taken`] if it is offered to somebody already.
pub async fn create(
    write: &mut Write,
    app: AppId,
    owner: AccountId,
    recipient: AccountId,
) -> Result<AppTransferId, Error> {
    let id = AppTransferId::new();
    sql::query(
        "INSERT INTO app_transfers (id, app_id, owner_id, recipient_id, state, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
    )
    .bind(id.to_string())
    .bind(app.to_string())
    .bind(owner.to_string())
    .bind(recipient.to_string())
    .bind(TransferStatus::Pending.as_str())
    .bind(Timestamp::now().micros())
    .execute(&mut *write.transaction)
    .await
    .map_err(Error::taken("a transfer of this app"))?;
    notifications::tell_of(write, recipient, app, NotificationKind::TransferOffered, Some(owner)).await?;
    Ok(id)
}

/// Answers a pending transfer. False, changing nothing, if it was answered or taken back already.
pub async fn answer(write: &mut Write, id: AppTransferId, event: TransferEvent) -> Result<bool, Error> {
    let row = sql::query("SELECT state FROM app_transfers WHERE id = $1").bind(id.to_string());
    let row = row.fetch_optional(&mut *write.transaction).await?;
    let state: Option<TransferStatus> = row.as_ref().map(|row| parsed(row, "state")).transpose()?;
    let Some(Ok(next)) = state.map(|state| state.after(event)) else { return Ok(false) };
    sql::query("UPDATE app_transfers SET state = $2, updated_at = $3 WHERE id = $1")
        .bind(id.to_string())
        .bind(next.as_str())
        .bind(Timestamp::now().micros())
        .execute(&mut *write.transaction)
        .await?;
    Ok(true)
}

/// Takes an offer back, or forgets one that was answered.
pub async fn delete(write: &mut Write, id: AppTransferId) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM app_transfers WHERE id = $1").bind(id.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// Takes back every offer of an app nobody answered.
pub async fn withdraw(write: &mut Write, app: AppId) -> Result<(), Error> {
    let statement =
        sql::query("DELETE FROM app_transfers WHERE app_id = $1 AND state = 'pending'").bind(app.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// The transfers from or to an account, by id.
pub async fn of_account(store: &Store, account: AccountId) -> Result<Vec<AppTransfer>, Error> {
    let rows = sql::query(
        "SELECT app_transfers.*, apps.name AS app_name FROM app_transfers JOIN apps ON apps.id = app_id \
         WHERE app_transfers.owner_id = $1 OR recipient_id = $1 ORDER BY app_transfers.id",
    );
    rows.bind(account.to_string()).fetch_all(&store.readers).await?.iter().map(transfer).collect()
}
