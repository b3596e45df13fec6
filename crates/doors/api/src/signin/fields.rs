//! What a form sends, or what stands behind the `?` of an address.

use std::collections::HashMap;

use axum::extract::{FromRequest, Request};
use http_body_util::{BodyExt as _, Limited};
use url::form_urlencoded;
use vocabulary::Secret;

use crate::http::error::Error;
use crate::signin::page::PageError;

/// The longest form in bytes.
const LIMIT: usize = 16 * 1024;

/// The fields by their names; of several with one name, the last.
#[derive(Debug, Default)]
pub(crate) struct Fields(HashMap<String, String>);

impl Fields {
    /// Reads `a=1&b=2`.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// A field, empty if it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// A field that is there and not empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// A field that must not be printed.
    pub(crate) fn secret(&self, name: &str) -> Secret {
        Secret::new(self.text(name))
    }
}

impl<S: Sync> FromRequest<S> for Fields {
    type Rejection = PageError;

    async fn from_request(request: Request, _: &S) -> Result<Self, PageError> {
        let body = Limited::new(request.into_body(), LIMIT).collect().await;
        let body = body.map_err(|_| Error::too_large(LIMIT as u64))?;
        Ok(Self::parse(&body.to_bytes()))
    }
}
