//! Single things of which there are none: clients ask by id and act on the answer's `resource`.

use access::action::{Browse, ViewApp, ViewTeam};

use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;

/// `GET /account/features/{feature}`
pub(crate) async fn feature(_caller: Permitted<Browse>) -> Result {
    Err(Error::not_found("feature"))
}

/// `GET /spaces/{space}`
pub(crate) async fn space(_caller: Permitted<Browse>) -> Result {
    Err(Error::not_found("space"))
}

/// `GET /account/credits/{credit}`
pub(crate) async fn credit(_caller: Permitted<Browse>) -> Result {
    Err(Error::not_found("credit"))
}

/// `GET /account/invoices/{invoice}`
pub(crate) async fn invoice(_caller: Permitted<Browse>) -> Result {
    Err(Error::not_found("invoice"))
}

/// `GET /teams/{team}/invoices/{invoice}`
pub(crate) async fn team_invoice(_own: Permitted<ViewTeam>) -> Result {
    Err(Error::not_found("invoice"))
}

/// `GET /enterprise-accounts/{enterprise_account}`
pub(crate) async fn enterprise_account(_caller: Permitted<Browse>) -> Result {
    Err(Error::not_found("enterprise account"))
}

/// `GET /telemetry-drains/{drain}`
pub(crate) async fn telemetry_drain(_caller: Permitted<Browse>) -> Result {
    Err(Error::not_found("telemetry drain"))
}

/// `GET /addon-services/{service}`
pub(crate) async fn addon_service(_caller: Permitted<Browse>) -> Result {
    Err(Error::not_found("add-on service"))
}

/// `GET /apps/{app}/pipeline-couplings`
pub(crate) async fn coupling(_own: Permitted<ViewApp>) -> Result {
    Err(Error::not_found("pipeline coupling"))
}

/// `GET /apps/{app}/review-app`
pub(crate) async fn review_app(_own: Permitted<ViewApp>) -> Result {
    Err(Error::not_found("review app"))
}
