//! Config vars.

use std::collections::BTreeMap;

use store::apps::{App, ConfigVars};
use vocabulary::{AccountId, ConfigVarName, Secret};

use crate::record::Next;
use crate::{Error, Releases, describe};

impl Releases {
    /// Sets and (with None) unsets config vars; a change makes a release, no change makes none. Answers all vars after
    /// it. Over 64 KiB in all is `Error::Invalid`.
    pub async fn set_config(
        &self,
        app: &App,
        changes: &BTreeMap<ConfigVarName, Option<Secret>>,
        account: AccountId,
    ) -> Result<ConfigVars, Error> {
        let mut write = self.store.write_by(account).await?;
        let before = store::apps::config_vars_in(&mut write, app.id).await?;
        let slug = self.slug_in(&mut write, app.id).await?;
        let after = changed(&before, changes);
        if after == before {
            return Ok(after);
        }
        self.check(&after)?;
        store::apps::set_config_vars(&mut write, app.id, &after).await?;
        let description = description(&before, &after);
        let next = Next { slug: slug.as_ref(), config: &after, description: &description, account };
        let release = self.record(&mut write, app.id, &next).await?;
        write.commit().await?;
        self.announce(&release).await?;
        Ok(after)
    }

    /// Whether config vars keep the limits.
    pub(crate) fn check(&self, vars: &ConfigVars) -> Result<(), Error> {
        let bytes: usize = vars.iter().map(|(name, value)| name.as_str().len() + value.reveal().len()).sum();
        let limit = self.config.config_bytes;
        if bytes > limit {
            return Err(Error::Invalid(format!(
                "Config vars cannot exceed {} KB in total (these have {bytes} bytes).",
                limit / 1024
            )));
        }
        match vars.iter().find(|(_, value)| value.reveal().contains('\0')) {
            Some((name, _)) => Err(Error::Invalid(format!("The value of {name} cannot contain a null character."))),
            None => Ok(()),
        }
    }
}

fn changed(before: &ConfigVars, changes: &BTreeMap<ConfigVarName, Option<Secret>>) -> ConfigVars {
    let mut after = before.clone();
    for (name, value) in changes {
        match value {
            Some(value) => after.insert(name.clone(), value.clone()),
            None => after.remove(name),
        };
    }
    after
}

fn description(before: &ConfigVars, after: &ConfigVars) -> String {
    let set: Vec<&ConfigVarName> =
        after.iter().filter(|(name, value)| before.get(*name) != Some(*value)).map(|(name, _)| name).collect();
    let removed: Vec<&ConfigVarName> = before.keys().filter(|name| !after.contains_key(*name)).collect();
    describe::config(&set, &removed)
}
