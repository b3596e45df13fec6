//! `/user/notifications`, of the host `telex.heroku.com`: what the platform told the caller unasked.

use access::action::{Browse, Mark};
use axum::Json;
use axum::extract::{Path, State};
use schema::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::notifications::Notification as Row;
use vocabulary::{AppId, AppName, NotificationKind};

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;
use crate::http::state::Shared;

/// A notification, in the words of the official command.
#[derive(Debug, Serialize)]
pub(crate) struct Notification {
    id: String,
    title: String,
    body: String,
    read: bool,
    created_at: Time,
    /// The app's name when it was written.
    resource_name: AppName,
    target: Target,
    /// Nothing is ever added to one; the command wants the list.
    followup: [Value; 0],
}

#[derive(Debug, Serialize)]
struct Target {
    id: AppId,
    r#type: &'static str,
}

/// What `PATCH` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Update {
    read: bool,
}

/// `GET /user/notifications`, newest first: those of 30 days, at most 100.
pub(crate) async fn list(caller: Permitted<Browse>, State(state): State<Shared>) -> Result<Json<Vec<Notification>>> {
    let rows = store::notifications::list(&state.store, caller.account.id).await?;
    Ok(Json(rows.iter().map(shape).collect()))
}

/// `PATCH /user/notifications/{notification}`
pub(crate) async fn update(
    caller: Permitted<Mark>,
    State(state): State<Shared>,
    Path(id): Path<String>,
    Body(body): Body<Update>,
) -> Result<Json<Notification>> {
    let own = store::notifications::list(&state.store, caller.account.id).await?;
    let found = own.into_iter().find(|row| row.id.to_string() == id);
    let mut row = found.ok_or_else(|| Error::not_found("notification"))?;
    let mut write = state.store.write().await?;
    store::notifications::set_read(&mut write, row.id, body.read).await?;
    write.commit().await?;
    row.is_read = body.read;
    Ok(Json(shape(&row)))
}

fn shape(row: &Row) -> Notification {
    let (title, body) = words(row.kind, row.app_name.as_str(), row.detail.as_deref());
    Notification {
        id: row.id.to_string(),
        title,
        body,
        read: row.is_read,
        created_at: row.created_at.into(),
        resource_name: row.app_name.clone(),
        target: Target { id: row.app_id, r#type: "app" },
        followup: [],
    }
}

fn words(kind: NotificationKind, app: &str, detail: Option<&str>) -> (String, String) {
    let who = detail.unwrap_or("An operator");
    match kind {
        NotificationKind::CollaboratorAdded => {
            (format!("You can work on {app}"), format!("{who} let you into it: heroku apps:info --app {app}"))
        }
        NotificationKind::TransferOffered => (
            format!("{app} is offered to you"),
            format!("{who} wants to give it to you. It is yours once you accept the transfer."),
        ),
        NotificationKind::ReleaseFailed => {
            let release = detail.unwrap_or_default();
            let body =
                format!("The version before goes on. What it said: heroku releases:output {release} --app {app}");
            (format!("The release phase of {app} {release} failed"), body)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_says_who_and_what() {
        let (title, body) = words(NotificationKind::CollaboratorAdded, "sushi", Some("ada@example.com"));
        assert!(title.contains("sushi") && body.starts_with("ada@example.com"), "{title}: {body}");
        assert!(words(NotificationKind::TransferOffered, "sushi", None).1.starts_with("An operator"));
        let (title, body) = words(NotificationKind::ReleaseFailed, "sushi", Some("v12"));
        assert!(title.contains("v12") && body.contains("releases:output v12 --app sushi"), "{title}: {body}");
    }
}
