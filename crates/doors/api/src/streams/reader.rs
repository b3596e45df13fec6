//! For whom an address was made. Who opens it shows no token, so the policy point is asked about the one who was given
//! it, as they stand now: what they may no longer do, their addresses do not do either.

use access::{Act, Caller, Denied, OnApp};
use serde::{Deserialize, Serialize};
use store::Store;
use vocabulary::{AccountId, AppId};

use crate::http::error::Result;
use crate::streams::ticket;

/// See the module.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Reader {
    app: AppId,
    account: AccountId,
}

impl Reader {
    /// Whoever asks for an address now.
    pub(super) fn new(own: &OnApp) -> Self {
        Self { app: own.app.id, account: own.caller.account.id }
    }

    /// Whether they still may; the address leads nowhere if not. How far their token reached was decided when they got
    /// the address.
    pub(super) async fn still<A: Act<On = OnApp>>(self, store: &Store) -> Result<access::Permitted<A>> {
        let account = store::accounts::get(store, self.account).await?.ok_or_else(ticket::gone)?;
        let caller = Caller { account, authorization: None };
        match access::permit(store, caller, &self.app.to_string()).await {
            Ok(permitted) => Ok(permitted),
            Err(Denied::Store(error)) => Err(error.into()),
            Err(_) => Err(ticket::gone()),
        }
    }
}
