//! `/apps/{app}/collaborators`: the owner, alone yet.

use axum::Json;
use axum::extract::Path;
use schema::{Collaborator, Permission};

use crate::http::error::{Error, Result};
use crate::resources::own_app::OwnApp;
use crate::resources::{account, apps, catalogue};

const PERMISSIONS: [(&str, &str); 4] = [
    ("view", "Can see the app and its log"),
    ("deploy", "Can deploy"),
    ("operate", "Can scale, restart and configure"),
    ("manage", "Can do everything else"),
];

/// `GET /apps/{app}/collaborators`
pub(crate) async fn list(own: OwnApp) -> Json<[Collaborator; 1]> {
    Json([owner(&own)])
}

/// `GET /apps/{app}/collaborators/{collaborator}`, by id or email.
pub(crate) async fn info(own: OwnApp, Path((_, identity)): Path<(String, String)>) -> Result<Json<Collaborator>> {
    let owner = owner(&own);
    let same = owner.id.to_string() == identity || owner.user.email.eq_ignore_ascii_case(&identity);
    if same { Ok(Json(owner)) } else { Err(Error::not_found("collaborator")) }
}

fn owner(own: &OwnApp) -> Collaborator {
    let app = &own.app;
    Collaborator {
        id: catalogue::id("collaborator", &format!("{}/{}", app.id, app.owner_id)),
        app: apps::reference(app),
        permissions: PERMISSIONS.map(|(name, description)| Permission { name, description }).into(),
        role: Some("owner"),
        user: account::reference(&own.caller.account),
        created_at: app.created_at.into(),
        updated_at: app.created_at.into(),
    }
}
