//! The first two releases of every app.

use store::Write;
use store::apps::{App, ConfigVars};
use vocabulary::AccountId;

use crate::record::Next;
use crate::{Error, Releases, describe, lines};

impl Releases {
    /// v1 `Initial release` and v2 `Enable Logplex`, in the write that makes the app. Their log lines are written at
    /// once; those of an app that is not made after all are in nobody's log.
    pub async fn initial(&self, write: &mut Write, app: &App, account: AccountId) -> Result<(), Error> {
        let email = self.email(account).await?;
        for description in [describe::INITIAL, describe::LOGPLEX] {
            let next = Next { slug: None, config: &ConfigVars::new(), description, account };
            let release = self.record(write, app.id, &next).await?;
            self.say_api(app.id, lines::done(description, &email));
            self.say_api(app.id, lines::created(release.version, &email));
        }
        Ok(())
    }
}
