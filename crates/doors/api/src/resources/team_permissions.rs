//! `/teams/{team}/permissions`: who was let into which app of a team, and how far.

use std::collections::BTreeMap;

use access::action::ManageMembers;
use axum::extract::State;
use axum::response::Response;
use schema::{PermissionEntity, PermittedUser};
use store::collaborators::Collaborator;
use vocabulary::AppId;

use crate::http::error::Result;
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::Shared;

const SORTS: &[Sort<PermissionEntity>] =
    &[("id", |entity| Key::text(&entity.id)), ("name", |entity| Key::text(&entity.name))];

/// `GET /teams/{team}/permissions`: its apps, each with those who were given permissions on it.
pub(crate) async fn list(own: Permitted<ManageMembers>, State(state): State<Shared>, range: Range) -> Result<Response> {
    let apps = store::apps::of_team(&state.store, own.team.id).await?;
    let mut let_in: BTreeMap<AppId, Vec<Collaborator>> = BTreeMap::new();
    for app in &apps {
        let_in.insert(app.id, store::collaborators::list(&state.store, app.id).await?);
    }
    let accounts = let_in.values().flatten().map(|one| one.account_id).collect();
    let emails = store::accounts::emails(&state.store, accounts).await?;
    let user = |one: &Collaborator| PermittedUser {
        id: one.account_id.uuid(),
        email: emails.get(&one.account_id).cloned().unwrap_or_default(),
        permissions: one.permissions.iter().map(vocabulary::Permission::as_str).collect(),
    };
    let entities = apps.iter().map(|app| PermissionEntity {
        id: app.id.uuid(),
        name: app.name.to_string(),
        team_id: own.team.id.uuid(),
        kind: "app",
        users: let_in.get(&app.id).into_iter().flatten().map(user).collect(),
    });
    list::answer(&range, entities.collect(), SORTS, Clone::clone)
}
