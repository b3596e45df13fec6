//! Lists: what of everything a caller can see. The same decision as for each one alone.

use std::collections::BTreeMap;

use store::Store;
use store::apps::App;
use store::teams::Team;
use vocabulary::{AppId, Permissions, Scope, TeamId, TeamRole};

use crate::decide::{self, AppStanding, Decision, Standing, TeamStanding};
use crate::subject::personal;
use crate::{Act, Action, Caller, Denied, Permitted};

/// Which apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// One's own, and those one was let into.
    Own,
    /// Also those of one's teams.
    All,
}

/// The apps a caller can see, by id.
pub async fn apps<A: Act>(store: &Store, to: &Permitted<A>, which: Which) -> Result<Vec<App>, Denied>
where
    A::On: AsRef<Caller>,
{
    let account = to.on.as_ref().account.id;
    let members = store::team_members::of_account(store, account).await?;
    let roles: BTreeMap<TeamId, TeamRole> = members.iter().map(|member| (member.team_id, member.role)).collect();
    let given = store::collaborators::of_account(store, account).await?;
    let given: BTreeMap<AppId, Permissions> = given.iter().map(|one| (one.app_id, one.permissions)).collect();
    let mut found = store::apps::owned_by(store, account).await?;
    found.extend(store::apps::shared_with(store, account).await?);
    if which == Which::All {
        for team in roles.keys() {
            found.extend(store::apps::of_team(store, *team).await?);
        }
    }
    found.sort_by_key(|app| app.id);
    found.dedup_by_key(|app| app.id);
    found.retain(|app| {
        let standing = match app.team_id {
            None => personal(app.owner_id == account, given.contains_key(&app.id)),
            Some(team) => AppStanding::Team {
                role: roles.get(&team).copied(),
                given: given.get(&app.id).copied().unwrap_or_default(),
                locked: app.locked,
            },
        };
        decide::permits(&[Scope::Global], Standing::App(standing), Action::ViewApp) == Decision::Yes
    });
    Ok(found)
}

/// The teams a caller has to do with, by id, each with how.
pub async fn teams<A: Act>(store: &Store, to: &Permitted<A>) -> Result<Vec<(Team, TeamStanding)>, Denied>
where
    A::On: AsRef<Caller>,
{
    let account = to.on.as_ref().account.id;
    let members = store::team_members::of_account(store, account).await?;
    let mut standings: BTreeMap<TeamId, TeamStanding> =
        members.iter().map(|member| (member.team_id, TeamStanding::Member(member.role))).collect();
    for team in store::apps::shared_with(store, account).await?.iter().filter_map(|app| app.team_id) {
        standings.entry(team).or_insert(TeamStanding::Collaborator);
    }
    let mut found = vec![];
    for (id, standing) in standings {
        found.extend(store::teams::get(store, id).await?.map(|team| (team, standing)));
    }
    Ok(found)
}

impl AsRef<Caller> for Caller {
    fn as_ref(&self) -> &Caller {
        self
    }
}

impl AsRef<Caller> for crate::OnUser {
    fn as_ref(&self) -> &Caller {
        &self.caller
    }
}
