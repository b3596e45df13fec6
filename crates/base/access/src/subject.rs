//! What actions are done to, and how the store says somebody stands to it.

use std::future::Future;

use store::Store;
use store::apps::App;
use store::teams::Team;
use vocabulary::{AppId, AppName, Permissions, TeamId, TeamName};

use crate::decide::{self, AppStanding, Decision, Standing, TeamStanding};
use crate::{Action, Caller, Denied};

/// What an action can be done to. Its methods are the policy point's own: a door asks [`crate::permit`].
pub trait Subject: Clone + std::fmt::Debug + Send + Sync + Sized + 'static {
    /// The parameter of a path that names it; empty for what needs none.
    const PARAMETER: &'static str;

    /// Looks it up, with how the caller stands to it.
    #[doc(hidden)]
    fn find(store: &Store, caller: Caller, identity: &str) -> impl Future<Output = Result<Self, Denied>> + Send;

    /// The same again, as the store has it now.
    #[doc(hidden)]
    fn fresh(&self, store: &Store) -> impl Future<Output = Result<Self, Denied>> + Send;

    /// Whether the caller may do this to it.
    #[doc(hidden)]
    fn check(&self, action: Action) -> Result<(), Denied>;
}

impl Subject for Caller {
    const PARAMETER: &'static str = "";

    async fn find(_: &Store, caller: Caller, _: &str) -> Result<Self, Denied> {
        Ok(caller)
    }

    async fn fresh(&self, _: &Store) -> Result<Self, Denied> {
        Ok(self.clone())
    }

    fn check(&self, action: Action) -> Result<(), Denied> {
        match decide::permits(&self.scopes(), Standing::Own, action) {
            Decision::Yes => Ok(()),
            _ => Err(Denied::Scope),
        }
    }
}

/// A user that a path names. Nobody sees another user, not even that there is one.
#[derive(Debug, Clone)]
pub struct OnUser {
    /// The user, who calls.
    pub caller: Caller,
}

impl Subject for OnUser {
    const PARAMETER: &'static str = "user";

    async fn find(_: &Store, caller: Caller, identity: &str) -> Result<Self, Denied> {
        let account = &caller.account;
        let same =
            identity == "~" || identity == account.id.to_string() || identity.eq_ignore_ascii_case(&account.email);
        if same { Ok(Self { caller }) } else { Err(Denied::NotFound("account")) }
    }

    async fn fresh(&self, _: &Store) -> Result<Self, Denied> {
        Ok(self.clone())
    }

    fn check(&self, action: Action) -> Result<(), Denied> {
        self.caller.check(action)
    }
}

/// An app, and how the caller stands to it.
#[derive(Debug, Clone)]
pub struct OnApp {
    /// The app.
    pub app: App,
    /// The team that has it, if one does.
    pub team: Option<Team>,
    /// Who calls.
    pub caller: Caller,
    /// How they stand to it.
    pub standing: AppStanding,
}

impl OnApp {
    async fn new(store: &Store, app: App, caller: Caller) -> Result<Self, Denied> {
        let account = caller.account.id;
        let given = store::collaborators::get(store, app.id, account).await?;
        let (team, standing) = match app.team_id {
            None => (None, personal(app.owner_id == account, given.is_some())),
            Some(id) => {
                let role = store::team_members::get(store, id, account).await?.map(|member| member.role);
                let given = given.map_or(Permissions::NONE, |given| given.permissions);
                (store::teams::get(store, id).await?, AppStanding::Team { role, given, locked: app.locked })
            }
        };
        Ok(Self { app, team, caller, standing })
    }
}

/// How somebody stands to a personal app.
pub(crate) fn personal(owns: bool, was_let_in: bool) -> AppStanding {
    match (owns, was_let_in) {
        (true, _) => AppStanding::Owner,
        (false, true) => AppStanding::Collaborator,
        (false, false) => AppStanding::Stranger,
    }
}

impl Subject for OnApp {
    const PARAMETER: &'static str = "app";

    async fn find(store: &Store, caller: Caller, identity: &str) -> Result<Self, Denied> {
        let found = match (identity.parse::<AppId>(), identity.parse::<AppName>()) {
            (Ok(id), _) => store::apps::get(store, id).await?,
            (_, Ok(name)) => store::apps::by_name(store, &name).await?,
            _ => None,
        };
        Self::new(store, found.ok_or(Denied::NotFound("app"))?, caller).await
    }

    async fn fresh(&self, store: &Store) -> Result<Self, Denied> {
        let app = store::apps::get(store, self.app.id).await?.ok_or(Denied::NotFound("app"))?;
        Self::new(store, app, self.caller.clone()).await
    }

    fn check(&self, action: Action) -> Result<(), Denied> {
        let app = || self.app.name.to_string();
        match decide::permits(&self.caller.scopes(), Standing::App(self.standing), action) {
            Decision::Yes => Ok(()),
            Decision::Lacks(needs) => Err(Denied::Lacks { app: app(), needs }),
            Decision::OutOfScope => Err(Denied::Scope),
            Decision::Stranger | Decision::Role => Err(Denied::Stranger(app())),
        }
    }
}

/// A team, and how the caller stands to it.
#[derive(Debug, Clone)]
pub struct OnTeam {
    /// The team.
    pub team: Team,
    /// Who calls.
    pub caller: Caller,
    /// How they stand to it.
    pub standing: TeamStanding,
}

impl OnTeam {
    async fn new(store: &Store, team: Team, caller: Caller) -> Result<Self, Denied> {
        let standing = match store::team_members::get(store, team.id, caller.account.id).await? {
            Some(member) => TeamStanding::Member(member.role),
            None if works_for(store, team.id, &caller).await? => TeamStanding::Collaborator,
            None => TeamStanding::Stranger,
        };
        Ok(Self { team, caller, standing })
    }
}

async fn works_for(store: &Store, team: TeamId, caller: &Caller) -> Result<bool, Denied> {
    let apps = store::apps::shared_with(store, caller.account.id).await?;
    Ok(apps.iter().any(|app| app.team_id == Some(team)))
}

impl Subject for OnTeam {
    const PARAMETER: &'static str = "team";

    async fn find(store: &Store, caller: Caller, identity: &str) -> Result<Self, Denied> {
        let found = match (identity.parse::<TeamId>(), identity.parse::<TeamName>()) {
            (Ok(id), _) => store::teams::get(store, id).await?,
            (_, Ok(name)) => store::teams::by_name(store, &name).await?,
            _ => None,
        };
        Self::new(store, found.ok_or(Denied::NotFound("team"))?, caller).await
    }

    async fn fresh(&self, store: &Store) -> Result<Self, Denied> {
        let team = store::teams::get(store, self.team.id).await?.ok_or(Denied::NotFound("team"))?;
        Self::new(store, team, self.caller.clone()).await
    }

    /// A team that is none of the caller's business is not there: its name is nowhere else to be seen.
    fn check(&self, action: Action) -> Result<(), Denied> {
        match decide::permits(&self.caller.scopes(), Standing::Team(self.standing), action) {
            Decision::Yes => Ok(()),
            Decision::OutOfScope => Err(Denied::Scope),
            Decision::Role => Err(Denied::Role(self.team.name.to_string())),
            Decision::Stranger | Decision::Lacks(_) => Err(Denied::NotFound("team")),
        }
    }
}
