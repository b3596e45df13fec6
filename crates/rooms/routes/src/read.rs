//! What the store knows, in five queries however many apps there are.

use store::{Error, Store, apps, domains, dynos, formation, slugs};

use crate::Known;

/// Everything the table is made of. The queries run beside each other and may see different moments, none of them
/// before the call; whatever they missed wakes the publisher again.
pub(crate) async fn read(store: &Store) -> Result<Known, Error> {
    let (apps, domains, dynos, formation, process_types) = tokio::try_join!(
        apps::all(store),
        domains::all(store),
        dynos::all(store),
        formation::all(store),
        slugs::all_current_process_types(store),
    )?;
    Ok(Known { apps, domains, dynos, formation, process_types })
}
