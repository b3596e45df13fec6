//! Cancelling a build that has not been released.

use store::accounts::Account;
use store::apps::App;
use store::builds::Build;
use vocabulary::BuildId;

use crate::compile::{Trouble, slug_id};
use crate::{Builds, Error, is_pending, text};

impl Builds {
    /// Ends a build as failed, by the wish of a user; what runs of it is ended by its job, which sees that. Of this and
    /// the release of the build one comes first ([`Builds::decisions`]): `Error::Invalid` if that was the release, or if
    /// the build has ended otherwise.
    pub async fn cancel(&self, app: &App, build: &Build, by: &Account) -> Result<Build, Error> {
        let email = &by.email;
        let decision = self.decisions.lock().await;
        let released = store::slugs::get(&self.store, slug_id(build)).await?.is_some();
        if released || !self.end_failed(self.store.write_by(by.id).await?, build.id, &text::canceled(email)).await? {
            return Err(Error::Invalid("There is nothing to cancel: this build has ended.".to_owned()));
        }
        drop(decision);
        self.log(app, format!("Build canceled by user {email}"));
        let gone = || Error::Invalid("The build is gone, and its app with it.".to_owned());
        store::builds::get(&self.store, build.id).await?.ok_or_else(gone)
    }

    /// Waits until somebody has cancelled a build, or deleted its app; answers that as its failure.
    pub(crate) async fn canceled(&self, id: BuildId) -> Trouble {
        match self.ended(id).await {
            Ok(build) => Trouble::failed(build.failure.unwrap_or_default()),
            Err(Error::Store(error)) => error.into(),
            Err(error) => Trouble::failed(error.to_string()),
        }
    }

    /// Whether a build is still to be released.
    pub(crate) async fn is_wanted(&self, id: BuildId) -> Result<bool, store::Error> {
        Ok(store::builds::get(&self.store, id).await?.as_ref().is_some_and(is_pending))
    }
}
