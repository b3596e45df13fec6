//! What depends on a stack. Stacks themselves are images on a host, and in no table.

use vocabulary::{AppName, Stack};

use crate::row::parsed;
use crate::sql;
use crate::{Error, Store, Write};

/// The apps that run on a stack, will be built on it, or can go back to a release that runs on it, by name.
pub async fn apps_on(store: &Store, stack: Stack) -> Result<Vec<AppName>, Error> {
    let rows = sql::query(
        "SELECT name FROM apps WHERE stack = $1 OR build_stack = $1 \
         OR id IN (SELECT app_id FROM slugs WHERE stack = $1 AND deleted_at IS NULL) \
         OR id IN (SELECT app_id FROM builds WHERE stack = $1 AND status = 'pending') ORDER BY name",
    );
    let rows = rows.bind(stack.name()).fetch_all(&store.readers).await?;
    rows.iter().map(|row| parsed(row, "name")).collect()
}

/// The stacks that apps depend on.
pub async fn in_use(store: &Store) -> Result<Vec<Stack>, Error> {
    let rows = sql::query(
        "SELECT stack FROM apps UNION SELECT build_stack AS stack FROM apps UNION SELECT stack FROM slugs \
                            WHERE deleted_at IS NULL ORDER BY 1",
    );
    let rows = rows.fetch_all(&store.readers).await?;
    rows.iter().map(|row| parsed(row, "stack")).collect()
}

/// Forgets the build caches of every app on a stack: what they hold was compiled for the image that is replaced.
pub async fn forget_caches(write: &mut Write, stack: Stack) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM build_caches WHERE stack = $1").bind(stack.name());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
