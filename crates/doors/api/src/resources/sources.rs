//! `/sources`: where to upload what is to be built.

use access::Caller;
use access::action::{CreateApp, Deploy};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use schema::{Source, SourceUrls};

use crate::http::base::Base;
use crate::http::error::Result;
use crate::http::permitted::Permitted;
use crate::http::state::{Shared, State as ApiState};
use crate::streams;

/// `POST /sources`
pub(crate) async fn create(
    caller: Permitted<CreateApp>,
    State(state): State<Shared>,
    base: Base,
) -> Result<(StatusCode, Json<Source>)> {
    made(&state, &caller, &base)
}

/// `POST /apps/{app}/sources`
pub(crate) async fn create_for_app(
    own: Permitted<Deploy>,
    State(state): State<Shared>,
    base: Base,
) -> Result<(StatusCode, Json<Source>)> {
    made(&state, &own.caller, &base)
}

fn made(state: &ApiState, caller: &Caller, base: &Base) -> Result<(StatusCode, Json<Source>)> {
    let url = streams::sources::new_url(state, base, caller.account.id)?;
    Ok((StatusCode::CREATED, Json(Source { source_blob: SourceUrls { get_url: url.clone(), put_url: url } })))
}
