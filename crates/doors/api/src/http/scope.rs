//! Scopes as they are asked for.

use vocabulary::{Scope, UnknownScope};

use crate::http::error::{Error, Result};

/// Refuses a list of scopes that is empty or has one there is not.
pub(crate) fn known(scopes: &[String]) -> Result<()> {
    if !scopes.is_empty() && scopes.iter().all(|one| one.parse::<Scope>().is_ok()) {
        return Ok(());
    }
    Err(Error::invalid(format!("The {UnknownScope}.")))
}
