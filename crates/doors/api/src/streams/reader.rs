//! For whom an address was made. Who opens it shows no token, so the policy point is asked about the one who was given
//! it, as they stand now: what they may no longer do, their addresses do not do either.

use access::{Act, Caller, Denied, OnApp};
use serde::{Deserialize, Serialize};
use store::Store;
use vocabulary::{AccountId, AppId, AuthorizationId};

use crate::http::error::Result;
use crate::streams::ticket;

/// See the module.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Reader {
    app: AppId,
    account: AccountId,
    /// What they asked with; nothing for email and password.
    authorization: Option<AuthorizationId>,
}

impl Reader {
    /// Whoever asks for an address now.
    pub(super) fn new(own: &OnApp) -> Self {
        let authorization = own.caller.authorization.as_ref().map(|authorization| authorization.id);
        Self { app: own.app.id, account: own.caller.account.id, authorization }
    }

    /// Whether they still may; the address leads nowhere if not, nor once what they asked with has ended. How far their
    /// token reached was decided when they got the address.
    pub(super) async fn still<A: Act<On = OnApp>>(self, store: &Store) -> Result<access::Permitted<A>> {
        let account = store::accounts::get(store, self.account).await?.ok_or_else(ticket::gone)?;
        if let Some(authorization) = self.authorization
            && !store::authorizations::lives(store, authorization).await?
        {
            return Err(ticket::gone());
        }
        let caller = Caller { account, authorization: None };
        match access::permit(store, caller, &self.app.to_string()).await {
            Ok(permitted) => Ok(permitted),
            Err(Denied::Store(error)) => Err(error.into()),
            Err(_) => Err(ticket::gone()),
        }
    }
}
