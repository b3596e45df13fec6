//! What a dyno is told of itself where `runtime-dyno-metadata` is on (Heroku Dev Center, "Dyno Metadata").

use store::Store;
use vocabulary::{AppFeature, AppName};

use crate::{Error, Run};

/// Digits of a commit in a description.
const SHORT: usize = 8;

/// The variables; none where the feature is off. They are those of the moment the dyno starts.
pub(crate) async fn of(store: &Store, run: &Run<'_>) -> Result<Vec<(String, String)>, Error> {
    if !store::app_features::is_on(store, run.app, AppFeature::RuntimeDynoMetadata).await? {
        return Ok(vec![]);
    }
    let app = store::apps::get(store, run.app).await?.ok_or(Error::Gone)?;
    Ok(variables(&app.name, run))
}

fn variables(app: &AppName, run: &Run<'_>) -> Vec<(String, String)> {
    let commit = run.slug.commit.clone().unwrap_or_default();
    let short: String = commit.chars().take(SHORT).collect();
    let description = format!("Deploy {short}").trim_end().to_owned();
    let each = [
        ("HEROKU_APP_ID", run.app.to_string()),
        ("HEROKU_APP_NAME", app.to_string()),
        ("HEROKU_DYNO_ID", run.id.to_string()),
        ("HEROKU_RELEASE_CREATED_AT", run.release.created_at.api()),
        ("HEROKU_RELEASE_VERSION", run.release.version.to_string()),
        ("HEROKU_BUILD_COMMIT", commit.clone()),
        ("HEROKU_BUILD_DESCRIPTION", description.clone()),
        ("HEROKU_SLUG_COMMIT", commit),
        ("HEROKU_SLUG_DESCRIPTION", description),
    ];
    each.map(|(name, value)| (name.to_owned(), value)).into()
}
