//! A slug that is there already, once more: `heroku releases:retry`.

use store::apps::App;
use store::releases::Release;
use store::slugs::Slug;
use vocabulary::AccountId;

use crate::record::Next;
use crate::{Error, Releases, describe};

impl Releases {
    /// A new release of a slug of the app's with the config vars of now; its release phase runs again.
    /// `Error::Invalid` if the slug was deleted for its age.
    pub async fn of_slug(
        &self,
        app: &App,
        slug: &Slug,
        description: Option<&str>,
        account: AccountId,
    ) -> Result<Release, Error> {
        let usual = describe::deploy(slug.commit.as_deref());
        let mut write = self.store.write_by(account).await?;
        if store::releases::newest_in(&mut write, app.id).await?.is_none() {
            return Err(Error::Gone);
        }
        if slug.app_id != app.id || !store::slugs::is_kept_in(&mut write, slug.id).await? {
            return Err(Error::Invalid("That slug was deleted for its age. Push its commit again.".to_owned()));
        }
        let config = store::apps::config_vars_in(&mut write, app.id).await?;
        let next = Next { slug: Some(slug), config: &config, description: description.unwrap_or(&usual), account };
        let release = self.record(&mut write, app.id, &next).await?;
        write.commit().await?;
        self.announce(&release).await?;
        Ok(release)
    }
}
