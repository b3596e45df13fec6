//! What an account has none of; clients ask by id and act on the answer's `resource`.

use crate::http::error::{Error, Result};

/// `GET /account/features/{feature}`
pub(crate) async fn feature() -> Result {
    Err(Error::not_found("feature"))
}
