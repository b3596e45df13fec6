//! `/filters/apps`: many apps at once.

use std::collections::BTreeSet;

use access::Which;
use access::action::ListApps;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use crate::http::base::Base;
use crate::http::body::Body;
use crate::http::error::Result;
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::Shared;
use crate::resources::team_apps;

/// What `POST /filters/apps` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    #[serde(default, rename = "in")]
    within: In,
}

/// Without ids nothing is asked for.
#[derive(Debug, Default, Deserialize)]
struct In {
    #[serde(default)]
    id: BTreeSet<String>,
}

/// `POST /filters/apps`: those of the apps with these ids that the caller can see.
pub(crate) async fn list(
    caller: Permitted<ListApps>,
    State(state): State<Shared>,
    base: Base,
    range: Range,
    Body(body): Body<Filter>,
) -> Result<Response> {
    let mut apps = access::apps(&state.store, &caller, Which::All).await?;
    apps.retain(|app| body.within.id.contains(&app.id.to_string()));
    team_apps::answer(&state, &base, &range, apps, caller.account.id).await
}
