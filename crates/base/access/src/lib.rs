//! Who may do what: the one point every door passes.
//!
//! A door that works on an app, a team or an account asks [`permit`] for a [`Permitted`] of the [`action`] it is about
//! to do. Nothing else makes one, and it holds what was asked for and who asked, so that a handler without one has
//! nothing to work on. [`decide`] says yes or no and knows nothing but its arguments; `subject` finds those arguments
//! in the store.
//!
//! Knows permissions, roles and scopes. Knows no HTTP, and not how somebody proved who they are.
//!
//! ```no_run
//! # async fn example(store: &store::Store, caller: access::Caller) -> Result<(), access::Denied> {
//! use access::action::ViewLogs;
//! let own = access::permit::<ViewLogs>(store, caller, "sushi").await?;
//! println!("{} may read the log of {}", own.caller.account.email, own.app.name);
//! # Ok(())
//! # }
//! ```

pub mod action;
pub mod decide;
mod list;
mod subject;

use std::ops::Deref;

use store::Store;
use store::accounts::Account;
use store::authorizations::Authorization;
use vocabulary::{Permission, Scope};

pub use action::{Act, Action};
pub use decide::{AppStanding, Decision, TeamStanding};
pub use list::{Which, apps, teams};
pub use subject::{OnApp, OnTeam, OnUser, Subject};

/// Whoever is signed in.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account.
    pub account: Account,
    /// The token they came with; nothing for email and password, which reach everywhere.
    pub authorization: Option<Authorization>,
}

impl Caller {
    /// How far the token reaches. A scope this program does not know reaches nowhere.
    #[must_use]
    pub fn scopes(&self) -> Vec<Scope> {
        match &self.authorization {
            None => vec![Scope::Global],
            Some(authorization) => authorization.scope.iter().filter_map(|scope| scope.parse().ok()).collect(),
        }
    }
}

/// Why somebody may not.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// There is no such thing, or the caller must not know that there is.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The app is there, and they have nothing to do with it.
    #[error("you do not have access to the app {0}")]
    Stranger(String),
    /// They lack every one of these permissions on the app.
    #[error("you need the {} permission on the app {app}", words(.needs))]
    Lacks {
        /// The app's name.
        app: String,
        /// One of them would do.
        needs: &'static [Permission],
    },
    /// Their role in the team does not reach so far.
    #[error("your role in the team {0} does not allow this")]
    Role(String),
    /// Their token does not reach so far.
    #[error("the scope of this token does not reach so far")]
    Scope,
    /// The store failed.
    #[error("could not look up who may do this")]
    Store(#[from] store::Error),
}

fn words(needs: &[Permission]) -> String {
    needs.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" or ")
}

/// The right to do `A`, with what it is done to. Only this crate makes one.
#[derive(Debug)]
pub struct Permitted<A: Act> {
    on: A::On,
}

impl<A: Act> Deref for Permitted<A> {
    type Target = A::On;

    fn deref(&self) -> &A::On {
        &self.on
    }
}

impl<A: Act> Permitted<A> {
    /// The right to do something else to the same thing, if the caller has it.
    pub fn also<B: Act<On = A::On>>(&self) -> Result<Permitted<B>, Denied> {
        self.on.check(B::ACTION)?;
        Ok(Permitted { on: self.on.clone() })
    }

    /// The same right with what it is done to as the store has it now; whoever changed it shows it from here.
    pub async fn fresh(&self, store: &Store) -> Result<Self, Denied> {
        Ok(Self { on: self.on.fresh(store).await? })
    }
}

/// The right to do `A` to what `identity` (an id or a name) names, if `caller` has it. `A` that are done to oneself
/// take no identity: it is ignored.
pub async fn permit<A: Act>(store: &Store, caller: Caller, identity: &str) -> Result<Permitted<A>, Denied> {
    if !decide::reaches(&caller.scopes(), A::ACTION) {
        return Err(Denied::Scope);
    }
    let on = A::On::find(store, caller, identity).await?;
    on.check(A::ACTION)?;
    Ok(Permitted { on })
}
