//! What the platform has told its users unasked. Written with the change it tells of, in the same write.

use vocabulary::{AccountId, AppId, AppName, NotificationId, NotificationKind, Timestamp};

use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write};

/// The most of one account; the oldest go.
pub const MOST: i64 = 100;
/// How long one is kept, in days.
pub const DAYS: i64 = 30;

/// A notification.
#[derive(Debug, Clone)]
pub struct Notification {
    /// Its id.
    pub id: NotificationId,
    /// The app it is about.
    pub app_id: AppId,
    /// The app's name when it was written.
    pub app_name: AppName,
    /// What it tells.
    pub kind: NotificationKind,
    /// The email of who did it, or the release's name; nothing if nobody is known.
    pub detail: Option<String>,
    /// Whether it was read.
    pub is_read: bool,
    /// When it was written.
    pub created_at: Timestamp,
}

fn notification(row: &Row) -> Result<Notification, Error> {
    Ok(Notification {
        id: parsed(row, "id")?,
        app_id: parsed(row, "app_id")?,
        app_name: parsed(row, "app_name")?,
        kind: parsed(row, "kind")?,
        detail: row.try_get("detail")?,
        is_read: row.try_get("is_read")?,
        created_at: time(row, "created_at")?,
    })
}

/// Since when notifications are shown.
fn since() -> i64 {
    Timestamp::now().micros() - DAYS * 24 * 60 * 60 * 1_000_000
}

/// Tells a user, and forgets what is too old or too many of theirs. Of an app that is offered or opened to them again and
/// again the last word stands, so that nobody drives out what others have to say.
pub(crate) async fn tell(
    write: &mut Write,
    account: AccountId,
    app: AppId,
    kind: NotificationKind,
    detail: Option<&str>,
) -> Result<(), Error> {
    if kind != NotificationKind::ReleaseFailed {
        let statement = sql::query("DELETE FROM notifications WHERE account_id = $1 AND app_id = $2 AND kind = $3");
        let statement = statement.bind(account.to_string()).bind(app.to_string()).bind(kind.as_str());
        statement.execute(&mut *write.transaction).await?;
    }
    let statement = sql::query(
        "INSERT INTO notifications (id, account_id, app_id, app_name, kind, detail, is_read, created_at) \
         VALUES ($1, $2, $3, (SELECT name FROM apps WHERE id = $3), $4, $5, $6, $7)",
    )
    .bind(NotificationId::new().to_string())
    .bind(account.to_string())
    .bind(app.to_string())
    .bind(kind.as_str())
    .bind(detail)
    .bind(false)
    .bind(Timestamp::now().micros());
    statement.execute(&mut *write.transaction).await?;
    let statement = sql::query(
        "DELETE FROM notifications WHERE account_id = $1 AND (created_at < $2 OR id NOT IN \
         (SELECT id FROM notifications WHERE account_id = $1 ORDER BY id DESC LIMIT $3))",
    )
    .bind(account.to_string())
    .bind(since())
    .bind(MOST);
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// As [`tell`], with the email of who did it; not to themselves.
pub(crate) async fn tell_of(
    write: &mut Write,
    account: AccountId,
    app: AppId,
    kind: NotificationKind,
    by: Option<AccountId>,
) -> Result<(), Error> {
    if by == Some(account) {
        return Ok(());
    }
    let email: Option<String> = match by {
        None => None,
        Some(by) => {
            let row = sql::query("SELECT email FROM accounts WHERE id = $1").bind(by.to_string());
            let row = row.fetch_optional(&mut *write.transaction).await?;
            row.map(|row| row.try_get("email")).transpose()?
        }
    };
    tell(write, account, app, kind, email.as_deref()).await
}

/// An account's notifications, newest first.
pub async fn list(store: &Store, account: AccountId) -> Result<Vec<Notification>, Error> {
    let rows = sql::query("SELECT * FROM notifications WHERE account_id = $1 AND created_at >= $2 ORDER BY id DESC")
        .bind(account.to_string())
        .bind(since());
    rows.fetch_all(&store.readers).await?.iter().map(notification).collect()
}

/// Says whether one was read.
pub async fn set_read(write: &mut Write, id: NotificationId, is_read: bool) -> Result<(), Error> {
    let statement =
        sql::query("UPDATE notifications SET is_read = $2 WHERE id = $1").bind(id.to_string()).bind(is_read);
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
