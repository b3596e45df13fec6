//! Which stacks there are: Heroku's, which an image of ours stands in for, and those the operator imported.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use vocabulary::Stack;

use crate::http::error::{Error, Result};
use crate::resources::catalogue;

type Listed = Pin<Box<dyn Future<Output = std::result::Result<Vec<String>, String>> + Send>>;

/// What lists the names of the installed images. The engine knows them; a door does not know the engine, so the binary
/// puts the call in here.
#[derive(Clone)]
pub struct Stacks(Arc<dyn Fn() -> Listed + Send + Sync>);

impl Stacks {
    /// Stacks listed by `list`.
    pub fn new<L, F>(list: L) -> Self
    where
        L: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = std::result::Result<Vec<String>, String>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(list())))
    }

    /// All that can be chosen, Heroku's first.
    pub(crate) async fn all(&self) -> Result<Vec<Stack>> {
        let names = (self.0)().await.map_err(|error| {
            tracing::warn!(error, "could not ask which stacks are installed");
            Error::broken()
        })?;
        let mut stacks = Stack::KNOWN.to_vec();
        // The image that stands in for others has no name of its own as a stack.
        let imported = names.iter().filter_map(|name| name.parse().ok());
        stacks.extend(imported.filter(|stack| !Stack::KNOWN.contains(stack)));
        Ok(stacks)
    }

    /// The stack with this id or name.
    pub(crate) async fn find(&self, identity: &str) -> Result<Option<Stack>> {
        let is = |stack: &Stack| catalogue::is(identity, "stack", stack.name());
        // Most apps take Heroku's names, for which nobody needs to be asked.
        match Stack::KNOWN.into_iter().find(is) {
            Some(known) => Ok(Some(known)),
            None => Ok(self.all().await?.into_iter().find(is)),
        }
    }

    /// The stack a request asks for.
    pub(crate) async fn wanted(&self, identity: &str) -> Result<Stack> {
        if let Some(found) = self.find(identity).await? {
            return Ok(found);
        }
        let all = self.all().await?;
        let names: Vec<&str> = all.iter().map(Stack::name).collect();
        Err(Error::invalid(format!("no such stack: choose {}.", names.join(", "))))
    }
}

impl fmt::Debug for Stacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stacks")
    }
}
