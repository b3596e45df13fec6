//! `/favorites`, of the host the CLI calls particleboard: nobody can mark any yet.

use access::action::Browse;
use axum::response::Response;

use crate::http::list;
use crate::http::permitted::Permitted;

/// `GET /favorites`
pub(crate) async fn list(_caller: Permitted<Browse>) -> Response {
    list::nothing()
}
