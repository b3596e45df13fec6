//! The policy point as a handler's first argument: `Permitted<ViewApp>` is the app the path names, and the proof that
//! the caller may see it. An endpoint whose handler begins with anything else does not compile.

use std::collections::HashMap;
use std::ops::Deref;

use access::{Act, Action, Caller, Denied, Subject as _};
use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use crate::http::error::{Error, Result};
use crate::http::path;
use crate::http::state::{Shared, State};

/// See the module; made from a request alone.
pub(crate) struct Permitted<A: Act>(access::Permitted<A>);

impl<A: Act> Deref for Permitted<A> {
    type Target = access::Permitted<A>;

    fn deref(&self) -> &access::Permitted<A> {
        &self.0
    }
}

/// The right to do something to what a body names, if the caller has it.
pub(crate) async fn named<A: Act>(state: &State, caller: &Caller, identity: &str) -> Result<access::Permitted<A>> {
    Ok(access::permit(&state.store, caller.clone(), identity).await?)
}

impl<A: Act> FromRequestParts<Shared> for Permitted<A> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self> {
        let caller = parts.extensions.get::<Caller>().cloned().ok_or_else(Error::broken)?;
        let Path(path) = Path::<HashMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|error| path::refused(&error))?;
        let identity = path.get(A::On::PARAMETER).map(String::as_str).unwrap_or_default();
        Ok(Self(access::permit(&state.store, caller, identity).await?))
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NotFound(resource) => Self::not_found(resource),
            Denied::Store(error) => error.into(),
            // What the caller may know begins like a sentence.
            denied => Self::forbidden(sentence(&denied.to_string())),
        }
    }
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| format!("{}{}.", first.to_uppercase(), characters.as_str())).unwrap_or_default()
}

/// The arguments of a handler that begin with a permission, as axum types them.
#[diagnostic::on_unimplemented(
    message = "this handler does not pass the policy point",
    note = "its first argument must be `Permitted<…>` of the action it does"
)]
pub(crate) trait Passes {
    /// The action.
    const ACTION: Action;
}

macro_rules! passes {
    ($($rest:ident),*) => {
        impl<M, A: Act, $($rest),*> Passes for (M, Permitted<A>, $($rest),*) {
            const ACTION: Action = A::ACTION;
        }
    };
}

passes!();
passes!(B);
passes!(B, C);
passes!(B, C, D);
passes!(B, C, D, E);
passes!(B, C, D, E, F);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_sentence() {
        assert_eq!(sentence("you do not have access"), "You do not have access.");
        assert_eq!(sentence(""), "");
    }
}
