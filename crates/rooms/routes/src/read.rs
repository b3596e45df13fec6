//! What the store knows, in four queries however many apps there are.

use store::{Error, Store, apps, dynos, formation, slugs};

use crate::Known;

/// Everything the table is made of.
pub(crate) async fn read(store: &Store) -> Result<Known, Error> {
    Ok(Known {
        apps: apps::all(store).await?,
        dynos: dynos::all(store).await?,
        formation: formation::all(store).await?,
        process_types: slugs::all_current_process_types(store).await?,
    })
}
