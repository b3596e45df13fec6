//! `/auth`: where the CLI's browser login begins (`HEROKU_LOGIN_HOST`).

use crate::http::error::{Error, Result};

/// `POST /auth`
pub(crate) async fn browser() -> Result {
    Err(Error::unbuilt("Login through the browser (`heroku login -i` asks for email and password)"))
}
