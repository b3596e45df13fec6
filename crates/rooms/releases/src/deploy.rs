//! A new slug.

use std::collections::{BTreeMap, BTreeSet};

use crashpoints::Point;
use store::Write;
use store::apps::App;
use store::releases::Release;
use store::slugs::Slug;
use vocabulary::{AccountId, ConfigVarName, DynoSize, ProcessType, Secret};

use crate::record::Next;
use crate::{Error, Releases};

impl Releases {
    /// Records the slug, makes the formation rows new process types need, sets config vars of `bin/release` that the
    /// app lacks, and makes the next release: pending with a `release_phase` job if the slug has a `release` process,
    /// current otherwise. Wakes dynos.
    pub async fn deploy(
        &self,
        app: &App,
        slug: &Slug,
        defaults: &BTreeMap<ConfigVarName, Secret>,
        account: AccountId,
        description: &str,
    ) -> Result<Release, Error> {
        let mut write = self.store.write_by(account).await?;
        if store::releases::newest_in(&mut write, app.id).await?.is_none() {
            return Err(Error::Gone);
        }
        store::slugs::create(&mut write, slug).await?;
        add_to_formation(&mut write, slug).await?;
        let mut config = store::apps::config_vars_in(&mut write, app.id).await?;
        let before = config.len();
        for (name, value) in defaults {
            config.entry(name.clone()).or_insert_with(|| value.clone());
        }
        if config.len() != before {
            self.check(&config)?;
            store::apps::set_config_vars(&mut write, app.id, &config).await?;
        }
        let next = Next { slug: Some(slug), config: &config, description, account };
        let release = self.record(&mut write, app.id, &next).await?;
        write.commit().await?;
        crashpoints::reach(Point::ReleaseRecorded);
        self.announce(&release).await?;
        Ok(release)
    }
}

/// New process types begin with one dyno if they are `web`, else with none: `release` never has one of the formation, it
/// is there for its size, and by it `heroku releases:retry` knows that the app has a release phase.
async fn add_to_formation(write: &mut Write, slug: &Slug) -> Result<(), Error> {
    let rows = store::formation::list_in(write, slug.app_id).await?;
    let known: BTreeSet<ProcessType> = rows.into_iter().map(|row| row.process_type).collect();
    for process_type in slug.process_types.0.keys() {
        if !known.contains(process_type) {
            let quantity = u32::from(process_type.is_web());
            store::formation::set(write, slug.app_id, process_type, quantity, DynoSize::Standard1X).await?;
        }
    }
    Ok(())
}
