//! What should be, from the store.

use std::collections::{BTreeMap, HashMap};

use store::Store;
use vocabulary::{AppFeature, AppId, ProcessTypes, SlugId};

use crate::plan::{AppView, Current, Wanted};

/// The process types of slugs; a slug never changes.
pub(crate) type Slugs = HashMap<SlugId, ProcessTypes>;

/// Every app with its formation, current release and dynos.
pub(crate) async fn apps(store: &Store, slugs: &mut Slugs) -> Result<BTreeMap<AppId, AppView>, store::Error> {
    let mut apps: BTreeMap<AppId, AppView> = BTreeMap::new();
    let releases = store::releases::all_current(store).await?;
    // A slug that no release runs any more need not be remembered.
    slugs.retain(|id, _| releases.iter().any(|release| release.slug_id == Some(*id)));
    for release in releases {
        let Some(slug) = release.slug_id else { continue };
        let process_types = process_types(store, slugs, slug).await?;
        apps.entry(release.app_id).or_default().current = Some(Current { release: release.id, process_types });
    }
    for row in store::formation::all(store).await? {
        let wanted = Wanted { process_type: row.process_type, quantity: row.quantity, size: row.size };
        apps.entry(row.app_id).or_default().wanted.push(wanted);
    }
    for app in store::app_features::unlike_default(store, AppFeature::Preboot).await? {
        apps.entry(app).or_default().stops_first = true;
    }
    for dyno in store::dynos::all(store).await? {
        apps.entry(dyno.app_id).or_default().dynos.push(dyno);
    }
    Ok(apps)
}

async fn process_types(store: &Store, slugs: &mut Slugs, id: SlugId) -> Result<ProcessTypes, store::Error> {
    if let Some(known) = slugs.get(&id) {
        return Ok(known.clone());
    }
    let types = store::slugs::get(store, id).await?.map(|slug| slug.process_types).unwrap_or_default();
    slugs.insert(id, types.clone());
    Ok(types)
}
