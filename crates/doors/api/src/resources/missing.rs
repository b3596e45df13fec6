//! What an account has none of; clients ask by id and act on the answer's `resource`.

use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;
use access::action::Browse;

/// `GET /account/features/{feature}`
pub(crate) async fn feature(_caller: Permitted<Browse>) -> Result {
    Err(Error::not_found("feature"))
}
