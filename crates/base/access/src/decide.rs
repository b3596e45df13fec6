//! The decision. No I/O: whoever asks brings how the caller stands to the thing.
//!
//! | | personal app | team's app |
//! | --- | --- | --- |
//! | owner | everything | – |
//! | collaborator | all but rename, delete, transfer | what they were given |
//! | admin of the team | – | everything |
//! | member, viewer | – | view unless the app is locked, and what they were given |
//! | anybody else | nothing | nothing |
//!
//! Sources: Heroku Dev Center, "Collaborating with Other Developers on Your App", "App Permissions", "Enterprise Teams
//! Permissions and Allowed Actions", "OAuth".

use vocabulary::{Permission, Permissions, Scope, TeamRole};

use crate::action::{Action, Reach};

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// They may.
    Yes,
    /// Their token does not reach so far, whoever they are.
    OutOfScope,
    /// They have nothing to do with the thing.
    Stranger,
    /// They lack every one of these permissions.
    Lacks(&'static [Permission]),
    /// Their role in the team is not one of those that may.
    Role,
}

/// How somebody stands to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppStanding {
    /// It is theirs.
    Owner,
    /// It is somebody else's, who let them in.
    Collaborator,
    /// It is a team's.
    Team {
        /// What they are in that team.
        role: Option<TeamRole>,
        /// What they were given on this app.
        given: Permissions,
        /// Whether the app is locked.
        locked: bool,
    },
    /// Nothing connects them.
    Stranger,
}

/// How somebody stands to a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TeamStanding {
    /// They are in it.
    Member(TeamRole),
    /// They were let into one of its apps.
    Collaborator,
    /// Nothing connects them.
    Stranger,
}

/// How somebody stands to what an action is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is their own account.
    Own,
    /// It is an app.
    App(AppStanding),
    /// It is a team.
    Team(TeamStanding),
}

impl AppStanding {
    /// What they may do with it, in the words of permissions.
    #[must_use]
    pub fn permissions(self) -> Permissions {
        match self {
            Self::Owner | Self::Team { role: Some(TeamRole::Admin), .. } => Permissions::ALL,
            Self::Collaborator => Permissions::ALL_BUT_MANAGE,
            Self::Team { role: Some(TeamRole::Member | TeamRole::Viewer), given, locked: false } => {
                given.or(Permissions::VIEW)
            }
            Self::Team { given, .. } => given,
            Self::Stranger => Permissions::NONE,
        }
    }
}

/// Whether a token of these scopes, in the hand of somebody who stands so, is enough for an action.
#[must_use]
pub fn permits(scopes: &[Scope], standing: Standing, action: Action) -> Decision {
    if !reaches(scopes, action) {
        return Decision::OutOfScope;
    }
    match standing {
        Standing::Own => Decision::Yes,
        Standing::App(standing) => on_app(standing, action),
        Standing::Team(standing) => on_team(standing, action),
    }
}

/// Whether one of these scopes reaches an action.
#[must_use]
pub fn reaches(scopes: &[Scope], action: Action) -> bool {
    scopes.iter().any(|scope| match (scope, action.reach()) {
        (Scope::Global, _) | (_, Reach::Identity) => true,
        (Scope::Identity, _) | (_, Reach::Account) => false,
        (Scope::WriteProtected, _) => true,
        (Scope::ReadProtected, reach) => matches!(reach, Reach::Read | Reach::ReadConfig),
        (Scope::Write, reach) => matches!(reach, Reach::Read | Reach::Write),
        (Scope::Read, reach) => reach == Reach::Read,
    })
}

fn on_app(standing: AppStanding, action: Action) -> Decision {
    let has = standing.permissions();
    let enough = match action {
        Action::JoinApp => may_join(standing),
        Action::LeaveApp => was_let_in(standing),
        // Collaborators of a personal app let others in, too.
        Action::ManageAccess if standing == AppStanding::Collaborator => true,
        _ => action.needs().iter().any(|one| has.has(*one)),
    };
    if enough {
        Decision::Yes
    } else if has == Permissions::NONE {
        Decision::Stranger
    } else {
        Decision::Lacks(action.needs())
    }
}

/// Only a team's app is entered by oneself, and a locked one only by an admin.
fn may_join(standing: AppStanding) -> bool {
    match standing {
        AppStanding::Team { role: Some(role), locked, .. } => !locked || role == TeamRole::Admin,
        _ => false,
    }
}

fn was_let_in(standing: AppStanding) -> bool {
    match standing {
        AppStanding::Collaborator => true,
        AppStanding::Team { given, .. } => given != Permissions::NONE,
        AppStanding::Owner | AppStanding::Stranger => false,
    }
}

fn on_team(standing: TeamStanding, action: Action) -> Decision {
    let role = match standing {
        TeamStanding::Stranger => return Decision::Stranger,
        TeamStanding::Member(role) => Some(role),
        TeamStanding::Collaborator => None,
    };
    let enough = match action {
        Action::ViewTeam => true,
        Action::ListTeamApps | Action::ViewMembers | Action::LeaveTeam => role.is_some(),
        Action::CreateTeamApp => matches!(role, Some(TeamRole::Admin | TeamRole::Member)),
        _ => role == Some(TeamRole::Admin),
    };
    if enough { Decision::Yes } else { Decision::Role }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scoped(scope: Scope, action: Action) -> bool {
        permits(&[scope], Standing::App(AppStanding::Owner), action) == Decision::Yes
    }

    fn app(standing: AppStanding, action: Action) -> bool {
        permits(&[Scope::Global], Standing::App(standing), action) == Decision::Yes
    }

    fn team(standing: TeamStanding, action: Action) -> bool {
        permits(&[Scope::Global], Standing::Team(standing), action) == Decision::Yes
    }

    fn given(role: Option<TeamRole>, given: &str, locked: bool) -> AppStanding {
        AppStanding::Team { role, given: given.parse().unwrap(), locked }
    }

    /// The actions on an app, each with the permissions of which one is enough.
    const ON_APPS: [(Action, &str); 20] = [
        (Action::ViewApp, "view"),
        (Action::ViewConfig, "deploy,operate"),
        (Action::EditConfig, "deploy,operate"),
        (Action::FetchCode, "deploy"),
        (Action::Deploy, "deploy"),
        (Action::Rollback, "deploy,operate"),
        (Action::RunDyno, "deploy,operate"),
        (Action::ViewLogs, "operate"),
        (Action::Restart, "operate"),
        (Action::Scale, "operate,manage"),
        (Action::ViewWebhooks, "operate"),
        (Action::Configure, "operate"),
        (Action::UpdateApp, "operate,manage"),
        (Action::SetMaintenance, "operate,manage"),
        (Action::SetStack, "operate"),
        (Action::RenameApp, "manage"),
        (Action::DeleteApp, "manage"),
        (Action::ManageAccess, "manage"),
        (Action::LockApp, "manage"),
        (Action::TransferApp, "manage"),
    ];

    #[test]
    fn each_permission_allows_what_the_matrix_says() {
        for (action, enough) in ON_APPS {
            let enough: Permissions = enough.parse().unwrap();
            for permission in Permission::ALL {
                let standing = given(None, permission.as_str(), true);
                assert_eq!(app(standing, action), enough.has(*permission), "{action:?} with {permission}");
            }
        }
    }

    #[test]
    fn an_owner_may_do_everything_with_their_own_app() {
        assert!(ON_APPS.iter().all(|(action, _)| app(AppStanding::Owner, *action)));
    }

    #[test]
    fn an_admin_may_do_everything_with_a_teams_app() {
        assert!(ON_APPS.iter().all(|(action, _)| app(given(Some(TeamRole::Admin), "", true), *action)));
    }

    #[test]
    fn a_collaborator_of_a_personal_app_may_not_rename_delete_or_transfer_it() {
        for (action, _) in ON_APPS {
            let not = [Action::RenameApp, Action::DeleteApp, Action::TransferApp, Action::LockApp];
            assert_eq!(app(AppStanding::Collaborator, action), !not.contains(&action), "{action:?}");
        }
    }

    #[test]
    fn members_and_viewers_see_what_is_not_locked_and_do_what_they_were_given() {
        for role in [TeamRole::Member, TeamRole::Viewer] {
            assert!(app(given(Some(role), "", false), Action::ViewApp));
            assert!(!app(given(Some(role), "", false), Action::ViewLogs));
            assert!(!app(given(Some(role), "", true), Action::ViewApp));
            assert!(app(given(Some(role), "view", true), Action::ViewApp));
            assert!(app(given(Some(role), "deploy", false), Action::Deploy));
        }
    }

    #[test]
    fn a_stranger_may_do_nothing() {
        for action in Action::ALL.iter().filter(|action| !action.needs().is_empty()) {
            let standing = Standing::App(AppStanding::Stranger);
            assert_eq!(permits(&[Scope::Global], standing, *action), Decision::Stranger, "{action:?}");
            let outside = Standing::App(given(None, "", false));
            assert_eq!(permits(&[Scope::Global], outside, *action), Decision::Stranger, "{action:?}");
        }
    }

    #[test]
    fn a_member_of_a_locked_app_is_told_no_more_than_a_stranger() {
        let standing = Standing::App(given(Some(TeamRole::Member), "", true));
        assert_eq!(permits(&[Scope::Global], standing, Action::ViewApp), Decision::Stranger);
    }

    #[test]
    fn who_lacks_a_permission_is_told_which() {
        let standing = Standing::App(given(None, "view", false));
        let needs = Decision::Lacks(&[Permission::Deploy]);
        assert_eq!(permits(&[Scope::Global], standing, Action::Deploy), needs);
    }

    #[test]
    fn a_teams_app_is_joined_by_those_in_the_team_unless_it_is_locked() {
        for (role, locked, may) in [
            (Some(TeamRole::Admin), true, true),
            (Some(TeamRole::Member), false, true),
            (Some(TeamRole::Viewer), false, true),
            (Some(TeamRole::Member), true, false),
            (None, false, false),
        ] {
            assert_eq!(app(given(role, "", locked), Action::JoinApp), may, "{role:?} {locked}");
        }
        assert!(!app(AppStanding::Owner, Action::JoinApp) && !app(AppStanding::Collaborator, Action::JoinApp));
    }

    #[test]
    fn whoever_was_let_in_may_leave() {
        assert!(app(AppStanding::Collaborator, Action::LeaveApp));
        assert!(app(given(None, "view", true), Action::LeaveApp));
        assert!(!app(given(Some(TeamRole::Admin), "", false), Action::LeaveApp));
        assert!(!app(AppStanding::Owner, Action::LeaveApp));
    }

    #[test]
    fn roles_in_a_team_allow_what_the_table_says() {
        for (action, who) in [
            (Action::ViewTeam, "admin member viewer collaborator"),
            (Action::ListTeamApps, "admin member viewer"),
            (Action::ViewMembers, "admin member viewer"),
            (Action::LeaveTeam, "admin member viewer"),
            (Action::CreateTeamApp, "admin member"),
            (Action::ManageMembers, "admin"),
            (Action::ManageTeam, "admin"),
        ] {
            for role in TeamRole::ALL {
                assert_eq!(team(TeamStanding::Member(*role), action), who.contains(role.as_str()), "{action:?} {role}");
            }
            assert_eq!(team(TeamStanding::Collaborator, action), who.contains("collaborator"), "{action:?}");
            assert!(!team(TeamStanding::Stranger, action), "{action:?}");
        }
    }

    #[test]
    fn every_action_on_an_app_or_a_team_needs_something() {
        for action in Action::ALL {
            let app = app(AppStanding::Stranger, *action);
            let team = team(TeamStanding::Stranger, *action);
            assert!(!app && !team, "{action:?}");
        }
    }

    #[test]
    fn global_reaches_everything() {
        assert!(Action::ALL.iter().all(|action| reaches(&[Scope::Global], *action)));
    }

    #[test]
    fn without_a_scope_nothing_is_reached() {
        assert!(!Action::ALL.iter().any(|action| reaches(&[], *action)));
    }

    #[test]
    fn identity_reaches_whose_token_it_is_and_no_more() {
        for action in Action::ALL {
            let own = [Action::ViewAccount, Action::ViewUser].contains(action);
            assert_eq!(reaches(&[Scope::Identity], *action), own, "{action:?}");
        }
    }

    #[test]
    fn read_reaches_neither_changes_nor_config_vars() {
        assert!(scoped(Scope::Read, Action::ViewApp) && scoped(Scope::Read, Action::FetchCode));
        assert!(scoped(Scope::Read, Action::ViewLogs) && reaches(&[Scope::Read], Action::ViewAccount));
        assert!(!scoped(Scope::Read, Action::ViewConfig) && !scoped(Scope::Read, Action::Deploy));
    }

    #[test]
    fn write_reaches_changes_and_no_config_vars() {
        assert!(scoped(Scope::Write, Action::Deploy) && scoped(Scope::Write, Action::ViewApp));
        assert!(!scoped(Scope::Write, Action::ViewConfig) && !scoped(Scope::Write, Action::EditConfig));
    }

    #[test]
    fn read_protected_reads_config_vars_and_changes_nothing() {
        assert!(scoped(Scope::ReadProtected, Action::ViewConfig));
        assert!(!scoped(Scope::ReadProtected, Action::EditConfig) && !scoped(Scope::ReadProtected, Action::Deploy));
    }

    #[test]
    fn write_protected_changes_config_vars_and_not_the_account() {
        assert!(scoped(Scope::WriteProtected, Action::EditConfig));
        for scope in Scope::ALL.iter().filter(|scope| **scope != Scope::Global) {
            assert!(!reaches(&[*scope], Action::ManageAccount), "{scope}");
        }
    }

    #[test]
    fn scopes_add_up() {
        assert!(reaches(&[Scope::Identity, Scope::Write], Action::Deploy));
        assert!(reaches(&[Scope::ReadProtected, Scope::Write], Action::ViewConfig));
    }
}
