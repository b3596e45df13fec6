//! What an app can have at Heroku and no app has here yet: features, add-ons, drains, certificates, a place in a
//! pipeline. Lists of them are empty because there are none.

use access::action::ViewApp;
use axum::response::Response;

use crate::http::error::{Error, Result};
use crate::http::list;
use crate::http::permitted::Permitted;

/// An empty list.
pub(crate) async fn none(_own: Permitted<ViewApp>) -> Response {
    list::nothing()
}

/// `GET /apps/{app}/features/{feature}`
pub(crate) async fn missing(_own: Permitted<ViewApp>) -> Result {
    Err(Error::not_found("feature"))
}

/// `GET /apps/{app}/pipeline-couplings`
pub(crate) async fn no_coupling(_own: Permitted<ViewApp>) -> Result {
    Err(Error::not_found("pipeline coupling"))
}

/// `GET /apps/{app}/review-app`
pub(crate) async fn no_review_app(_own: Permitted<ViewApp>) -> Result {
    Err(Error::not_found("review app"))
}
