//! `/account/app-transfers`: an app of one's own is offered to somebody, who takes it or does not.

use access::Caller;
use access::action::{AnswerTransfer, ListTransfers, TransferApp};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use schema::Named;
use serde::Deserialize;
use store::accounts::Emails;
use store::app_transfers::AppTransfer;
use vocabulary::{Permissions, TransferEvent, TransferStatus};

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::{self, Permitted};
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::apps::Identity;
use crate::resources::{account, collaborators};

const SORTS: &[Sort<AppTransfer>] =
    &[("id", |transfer| Key::text(&transfer.id)), ("created_at", |transfer| Key::Time(transfer.created_at))];

/// What `POST` takes. The schema's `silent` has no meaning: no mail is sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    app: Identity,
    recipient: Identity,
}

/// What `PATCH` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Update {
    state: String,
}

/// `POST /account/app-transfers`
pub(crate) async fn create(
    caller: Permitted<AnswerTransfer>,
    State(state): State<Shared>,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<schema::AppTransfer>)> {
    let own = permitted::named::<TransferApp>(&state, &caller, body.app.text()).await?;
    if own.team.is_some() {
        return Err(Error::invalid("An app of a team is given away with PATCH /teams/apps/{app}."));
    }
    let recipient = collaborators::existing(&state, body.recipient.text()).await?;
    if recipient.id == own.app.owner_id {
        return Err(Error::invalid("The app is theirs already."));
    }
    let mut write = state.store.write().await?;
    let made = store::app_transfers::create(&mut write, own.app.id, own.app.owner_id, recipient.id).await;
    let id = made.map_err(offered)?;
    write.commit().await?;
    Ok((StatusCode::CREATED, Json(one(&state, &caller, &id.to_string()).await?.1)))
}

/// `GET /account/app-transfers`: from and to the caller.
pub(crate) async fn list(
    caller: Permitted<ListTransfers>,
    State(state): State<Shared>,
    range: Range,
) -> Result<Response> {
    let transfers = store::app_transfers::of_account(&state.store, caller.account.id).await?;
    let emails = emails(&state, &transfers).await?;
    list::answer(&range, transfers, SORTS, |transfer| shape(transfer, &emails))
}

/// `GET /account/app-transfers/{transfer}`, by id or by the app's name.
pub(crate) async fn info(
    caller: Permitted<ListTransfers>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
) -> Result<Json<schema::AppTransfer>> {
    Ok(Json(one(&state, &caller, &identity).await?.1))
}

/// `PATCH /account/app-transfers/{transfer}`: the recipient's answer. Who had the app goes on working on it.
pub(crate) async fn update(
    caller: Permitted<AnswerTransfer>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
    Body(body): Body<Update>,
) -> Result<Json<schema::AppTransfer>> {
    let (transfer, _) = one(&state, &caller, &identity).await?;
    if transfer.recipient_id != caller.account.id {
        return Err(Error::forbidden("Only the recipient answers a transfer."));
    }
    let event = match body.state.as_str() {
        "accepted" => TransferEvent::Accept,
        "declined" => TransferEvent::Decline,
        _ => return Err(Error::invalid("A transfer is accepted or declined.")),
    };
    let mut write = state.store.write_by(caller.account.id).await?;
    if !store::app_transfers::answer(&mut write, transfer.id, event).await? {
        return Err(Error::invalid("This transfer was answered already."));
    }
    if event == TransferEvent::Accept {
        let from = (transfer.owner_id, None);
        if !store::apps::give(&mut write, transfer.app_id, from, transfer.recipient_id, None).await? {
            return Err(Error::invalid("The app is no longer its old owner's to give."));
        }
        store::collaborators::remove(&mut write, transfer.app_id, transfer.recipient_id).await?;
        let before = Permissions::ALL_BUT_MANAGE;
        store::collaborators::set(&mut write, transfer.app_id, transfer.owner_id, before).await?;
    }
    write.commit().await?;
    Ok(Json(one(&state, &caller, &transfer.id.to_string()).await?.1))
}

/// `DELETE /account/app-transfers/{transfer}`: the owner takes the offer back.
pub(crate) async fn delete(
    caller: Permitted<AnswerTransfer>,
    State(state): State<Shared>,
    Path(identity): Path<String>,
) -> Result<Json<schema::AppTransfer>> {
    let (transfer, shown) = one(&state, &caller, &identity).await?;
    if transfer.owner_id != caller.account.id {
        return Err(Error::forbidden("Only the owner takes a transfer back."));
    }
    let mut write = state.store.write().await?;
    store::app_transfers::delete(&mut write, transfer.id).await?;
    write.commit().await?;
    Ok(Json(shown))
}

fn offered(error: store::Error) -> Error {
    match error {
        store::Error::Taken(_) => Error::invalid("The app is offered to somebody already."),
        error => error.into(),
    }
}

/// A transfer from or to the caller, by its id, or while it is pending by the app's name.
async fn one(state: &ApiState, caller: &Caller, identity: &str) -> Result<(AppTransfer, schema::AppTransfer)> {
    let transfers = store::app_transfers::of_account(&state.store, caller.account.id).await?;
    let emails = emails(state, &transfers).await?;
    let pending = |transfer: &AppTransfer| transfer.state == TransferStatus::Pending;
    let same = |transfer: &AppTransfer| {
        transfer.id.to_string() == identity || pending(transfer) && transfer.app_name.as_str() == identity
    };
    let found = transfers.into_iter().find(same).ok_or_else(|| Error::not_found("app transfer"))?;
    let shown = shape(&found, &emails);
    Ok((found, shown))
}

async fn emails(state: &ApiState, transfers: &[AppTransfer]) -> Result<Emails> {
    let users = transfers.iter().flat_map(|transfer| [transfer.owner_id, transfer.recipient_id]).collect();
    Ok(store::accounts::emails(&state.store, users).await?)
}

fn shape(transfer: &AppTransfer, emails: &Emails) -> schema::AppTransfer {
    schema::AppTransfer {
        id: transfer.id.uuid(),
        app: Named { id: transfer.app_id.uuid(), name: transfer.app_name.to_string() },
        owner: account::user_of(emails, transfer.owner_id),
        recipient: account::user_of(emails, transfer.recipient_id),
        state: transfer.state.as_str(),
        created_at: transfer.created_at.into(),
        updated_at: transfer.updated_at.into(),
    }
}
