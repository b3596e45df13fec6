//! `/users/{user}/preferences`: what pages are to remember. The platform itself acts on none of them.

use access::action::{ManageUser, ViewUser};
use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value};
use store::user_preferences::Preferences;

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;
use crate::http::state::Shared;

/// What a preference can be, besides null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Whether a notice was put away.
    Truth,
    /// A text of at most [`LONGEST`] characters.
    Text,
    /// A list of at most [`MOST`] such texts.
    Texts,
    /// A team where none is named: not built.
    Team,
}

/// The longest text: names of time zones and repositories are shorter.
const LONGEST: usize = 200;
/// The most entries of a list.
const MOST: usize = 100;

/// Every preference there is.
const ALL: [(&str, Kind); 10] = [
    ("timezone", Kind::Text),
    ("default-organization", Kind::Team),
    ("dismissed-github-banner", Kind::Truth),
    ("dismissed-getting-started", Kind::Truth),
    ("dismissed-org-access-controls", Kind::Truth),
    ("dismissed-org-wizard-notification", Kind::Truth),
    ("dismissed-pipelines-banner", Kind::Truth),
    ("dismissed-pipelines-github-banner", Kind::Truth),
    ("dismissed-pipelines-github-banners", Kind::Texts),
    ("dismissed-sms-banner", Kind::Truth),
];

/// `GET /users/{user}/preferences`
pub(crate) async fn info(user: Permitted<ViewUser>, State(state): State<Shared>) -> Result<Json<Preferences>> {
    Ok(Json(whole(&store::user_preferences::get(&state.store, user.caller.account.id).await?)))
}

/// `PATCH /users/{user}/preferences`: those that are named; null forgets.
pub(crate) async fn update(
    user: Permitted<ManageUser>,
    State(state): State<Shared>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Json<Preferences>> {
    let named = ALL.iter().filter_map(|(name, kind)| body.get(*name).map(|value| (*name, *kind, value)));
    let changes: Vec<_> = named.collect();
    for (name, kind, value) in &changes {
        fits(name, *kind, value)?;
    }
    let id = user.caller.account.id;
    let mut write = state.store.write().await?;
    let mut preferences = store::user_preferences::get_in(&mut write, id).await?;
    for (name, _, value) in changes {
        preferences.insert(name.to_owned(), value.clone());
    }
    store::user_preferences::set(&mut write, id, &preferences).await?;
    write.commit().await?;
    Ok(Json(whole(&preferences)))
}

/// Every preference, null if it was never set.
fn whole(set: &Preferences) -> Preferences {
    ALL.iter().map(|(name, _)| ((*name).to_owned(), set.get(*name).cloned().unwrap_or_default())).collect()
}

fn fits(name: &str, kind: Kind, value: &Value) -> Result<()> {
    let text = |value: &Value| {
        value.as_str().is_some_and(|text| text.chars().count() <= LONGEST && !text.chars().any(char::is_control))
    };
    let good = match (kind, value) {
        (_, Value::Null) => true,
        (Kind::Truth, value) => value.is_boolean(),
        (Kind::Text, value) => text(value),
        (Kind::Texts, value) => value.as_array().is_some_and(|list| list.len() <= MOST && list.iter().all(text)),
        (Kind::Team, _) => return Err(Error::unbuilt("A default team")),
    };
    if good { Ok(()) } else { Err(Error::invalid(format!("That is no value of {name}."))) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_preference_has_its_kind_or_is_null() {
        assert!(fits("timezone", Kind::Text, &json!("Europe/Vienna")).is_ok());
        assert!(fits("timezone", Kind::Text, &json!("x".repeat(LONGEST + 1))).is_err());
        assert!(fits("timezone", Kind::Text, &json!("a\nb")).is_err());
        assert!(fits("dismissed-sms-banner", Kind::Truth, &json!("yes")).is_err());
        assert!(fits("dismissed-pipelines-github-banners", Kind::Texts, &json!(["a", 1])).is_err());
        assert!(fits("dismissed-pipelines-github-banners", Kind::Texts, &json!(vec!["a"; MOST + 1])).is_err());
        assert!(ALL.iter().all(|(name, kind)| fits(name, *kind, &Value::Null).is_ok()));
    }
}
