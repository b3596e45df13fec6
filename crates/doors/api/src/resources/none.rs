//! Lists of what can be had at Heroku and nobody has here: they are empty because there are none.

use access::action::{Browse, ViewApp, ViewTeam, ViewUser};
use axum::response::Response;

use crate::http::list;
use crate::http::permitted::Permitted;

/// On the whole platform: spaces, services of add-ons, pipelines, invoices, credits, enterprise accounts.
pub(crate) async fn of_platform(_caller: Permitted<Browse>) -> Response {
    list::nothing()
}

/// Of an app: add-ons, drains, certificates.
pub(crate) async fn of_app(_own: Permitted<ViewApp>) -> Response {
    list::nothing()
}

/// Of a team: add-ons, spaces, places in pipelines, licences, invoices, identity providers.
pub(crate) async fn of_team(_own: Permitted<ViewTeam>) -> Response {
    list::nothing()
}

/// Of a user: add-ons, places in pipelines.
pub(crate) async fn of_user(_user: Permitted<ViewUser>) -> Response {
    list::nothing()
}
