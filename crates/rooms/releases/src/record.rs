//! Recording a release, whatever it came of.

use store::Write;
use store::apps::ConfigVars;
use store::releases::{New, Release};
use store::slugs::Slug;
use vocabulary::{AccountId, AppId, ProcessType, ReleaseStatus};

use crate::{Error, Releases, lines, phase};

/// What to release.
#[derive(Debug)]
pub(crate) struct Next<'a> {
    pub(crate) slug: Option<&'a Slug>,
    pub(crate) config: &'a ConfigVars,
    pub(crate) description: &'a str,
    pub(crate) account: AccountId,
}

impl Releases {
    /// Makes the app's next release in a write under way: pending with a job if it has a release phase or follows a
    /// release that is pending, else current.
    pub(crate) async fn record(&self, write: &mut Write, app: AppId, next: &Next<'_>) -> Result<Release, Error> {
        let before = store::releases::list_in(write, app).await?;
        let has_phase = next.slug.is_some_and(|slug| slug.process_types.command(&ProcessType::release()).is_some());
        let waits = has_phase || before.iter().any(|release| release.status == ReleaseStatus::Pending);
        let new = New {
            app_id: app,
            slug_id: next.slug.map(|slug| slug.id),
            config: next.config,
            status: if waits { ReleaseStatus::Pending } else { ReleaseStatus::Succeeded },
            description: next.description,
            account_id: next.account,
        };
        let release = store::releases::create(write, &new).await?;
        if waits {
            phase::add(write, &release).await?;
        } else {
            made_current(write, &release, next.slug).await?;
        }
        Ok(release)
    }

    /// The slug of the next release that brings none of its own: that of the newest release that did not fail.
    pub(crate) async fn slug_in(&self, write: &mut Write, app: AppId) -> Result<Option<Slug>, Error> {
        let releases = store::releases::list_in(write, app).await?;
        if releases.is_empty() {
            return Err(Error::Gone);
        }
        let newest = releases.into_iter().find(|release| release.status != ReleaseStatus::Failed);
        match newest.and_then(|release| release.slug_id) {
            Some(id) => Ok(store::slugs::get(&self.store, id).await?),
            None => Ok(None),
        }
    }

    /// Tells of a release that was committed: the log, then whoever has work with it.
    pub(crate) async fn announce(&self, release: &Release) -> Result<(), Error> {
        let email = self.email(release.account_id).await?;
        self.say_api(release.app_id, lines::done(&release.description, &email));
        self.say_api(release.app_id, lines::created(release.version, &email));
        match release.status {
            ReleaseStatus::Pending => self.wakers.jobs.wake(),
            _ => self.wakers.dynos.wake(),
        }
        self.wakers.retention.wake();
        self.wakers.changes.tell();
        Ok(())
    }
}

/// Records on the app what its new current release says of it.
pub(crate) async fn made_current(write: &mut Write, release: &Release, slug: Option<&Slug>) -> Result<(), Error> {
    if let Some(slug) = slug {
        let description = slug.buildpack_provided_description.as_deref();
        store::apps::set_released(write, release.app_id, slug.stack, Some(slug.size), description).await?;
    }
    Ok(())
}
