//! `/apps/{app}/domains`: the one every app has. Custom domains are to come.

use access::action::ViewApp;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use schema::Domain;
use store::apps::App;

use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::{apps, catalogue};

const SORTS: &[Sort<Domain>] =
    &[("id", |domain| Key::text(&domain.id)), ("hostname", |domain| Key::text(&domain.hostname))];

/// `GET /apps/{app}/domains`
pub(crate) async fn list(own: Permitted<ViewApp>, State(state): State<Shared>, range: Range) -> Result<Response> {
    list::answer(&range, vec![default(&state, &own.app)], SORTS, Clone::clone)
}

/// `GET /apps/{app}/domains/{domain}`, by id or hostname.
pub(crate) async fn info(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<Domain>> {
    let domain = default(&state, &own.app);
    let same = domain.hostname.eq_ignore_ascii_case(&identity) || domain.id.to_string() == identity;
    if same { Ok(Json(domain)) } else { Err(Error::not_found("domain")) }
}

fn default(state: &ApiState, app: &App) -> Domain {
    Domain {
        id: catalogue::id("domain", &app.id.to_string()),
        app: apps::reference(app),
        hostname: state.hosts.app(&app.name),
        kind: "heroku",
        cname: None,
        acm_status: None,
        acm_status_reason: None,
        sni_endpoint: None,
        status: "none",
        created_at: app.created_at.into(),
        updated_at: app.created_at.into(),
    }
}
