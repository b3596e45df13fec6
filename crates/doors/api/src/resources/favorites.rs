//! `/favorites`, of the host the CLI calls particleboard: nobody can mark any yet.

use axum::response::Response;

use crate::http::list as lists;

/// `GET /favorites`
pub(crate) async fn list() -> Response {
    lists::none().await
}
