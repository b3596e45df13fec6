//! Going back to an earlier release.

use store::apps::App;
use store::releases::Release;
use vocabulary::{AccountId, ReleaseStatus};

use crate::record::Next;
use crate::{Error, Releases, describe};

impl Releases {
    /// A new release with slug and config vars of `to`. `Error::Invalid` if `to` has no slug, failed, or expired.
    pub async fn rollback(&self, app: &App, to: &Release, account: AccountId) -> Result<Release, Error> {
        if to.status == ReleaseStatus::Expired {
            return Err(expired(to));
        }
        if to.app_id != app.id || to.status != ReleaseStatus::Succeeded {
            return Err(Error::Invalid(format!("Cannot roll back to {}: that release did not succeed.", to.version)));
        }
        let slug = match to.slug_id {
            Some(id) => store::slugs::get(&self.store, id).await?,
            None => None,
        };
        let Some(slug) = slug else {
            return Err(Error::Invalid(format!("Cannot roll back to {}: nothing was deployed yet.", to.version)));
        };
        let config = store::releases::config_vars(&self.store, to.id).await?;
        let description = describe::rollback(to.version);
        let mut write = self.store.write_by(account).await?;
        if store::releases::newest_in(&mut write, app.id).await?.is_none() {
            return Err(Error::Gone);
        }
        // It may have expired since it was read; in this write nothing can happen to it any more.
        if !store::slugs::is_kept_in(&mut write, slug.id).await? {
            return Err(expired(to));
        }
        store::apps::set_config_vars(&mut write, app.id, &config).await?;
        let next = Next { slug: Some(&slug), config: &config, description: &description, account };
        let release = self.record(&mut write, app.id, &next).await?;
        write.commit().await?;
        self.announce(&release).await?;
        Ok(release)
    }
}

/// Heroku: «Rollback to expired releases is not supported» (changelog of 1 October 2025).
fn expired(to: &Release) -> Error {
    Error::Invalid(format!(
        "Cannot roll back to {}: that release is expired, as its slug was deleted for its age. Push its commit again.",
        to.version
    ))
}
