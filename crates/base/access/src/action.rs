//! What can be done: each action as a value, and as a type for the signatures of those who do it.

use vocabulary::Permission;

use crate::Caller;
use crate::subject::{OnApp, OnTeam, OnUser, Subject};

/// What a token must reach (Heroku Dev Center, "OAuth": "Scopes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Whose token it is.
    Identity,
    /// The account itself: its keys, its passwords, its tokens.
    Account,
    /// Reading.
    Read,
    /// Changing.
    Write,
    /// Reading config vars.
    ReadConfig,
    /// Changing config vars.
    WriteConfig,
}

/// One type for each [`Action`].
pub trait Act: Send + Sync + 'static {
    /// The action as a value.
    const ACTION: Action;
    /// What it is done to.
    type On: Subject;
}

macro_rules! actions {
    ($($on:ident { $($(#[$doc:meta])* $name:ident),* $(,)? })*) => {
        /// What can be done to an account, a user, an app or a team.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action {
            $($($(#[$doc])* $name,)*)*
        }

        impl Action {
            /// Everything there is.
            pub const ALL: &'static [Self] = &[$($(Self::$name,)*)*];
        }

        $($(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub enum $name {}

            impl Act for $name {
                const ACTION: Action = Action::$name;
                type On = $on;
            }
        )*)*
    };
}

actions! {
    Caller {
        /// Read what is the same for everyone who has a token, or is the caller's own and no secret.
        Browse,
        /// See whose token this is.
        ViewAccount,
        /// Read and change the account: its tokens, keys, password.
        ManageAccount,
        /// List the apps and teams one can see.
        ListApps,
        /// Mark apps one can see as favorites, and what one was told as read.
        Mark,
        /// Make an app of one's own; upload what is to be built.
        CreateApp,
        /// Make a team.
        CreateTeam,
        /// See the apps offered to oneself, and those one offered.
        ListTransfers,
        /// Take, refuse or take back an offered app.
        AnswerTransfer,
        /// See an invitation into a team that one has the token of.
        ViewInvitation,
        /// Accept it.
        AcceptInvitation,
    }
    OnUser {
        /// See a user: oneself.
        ViewUser,
        /// List a user's apps: one's own.
        ListUserApps,
        /// Change or remove a user: oneself.
        ManageUser,
    }
    OnApp {
        /// See it, its dynos, builds and releases, and who works on it.
        ViewApp,
        /// Read its config vars, of now or of a release.
        ViewConfig,
        /// Set its config vars.
        EditConfig,
        /// Clone its code, read the source of a build.
        FetchCode,
        /// Push, build, set its buildpacks.
        Deploy,
        /// Go back to an earlier release.
        Rollback,
        /// Run a one-off dyno.
        RunDyno,
        /// Read its log.
        ViewLogs,
        /// Restart or stop its dynos.
        Restart,
        /// Set number and size of its dynos.
        Scale,
        /// See its webhooks, whose addresses may hold secrets, and what they are told.
        ViewWebhooks,
        /// Change what belongs to it: domains, certificates, drains, features, webhooks.
        Configure,
        /// Change one of its settings; each has an action of its own besides.
        UpdateApp,
        /// Switch maintenance mode.
        SetMaintenance,
        /// Choose the stack of its next build.
        SetStack,
        /// Give it another name.
        RenameApp,
        /// Delete it.
        DeleteApp,
        /// Let others in, and say how far.
        ManageAccess,
        /// Enter a team's app by oneself.
        JoinApp,
        /// Give up one's own permissions.
        LeaveApp,
        /// Lock and unlock a team's app.
        LockApp,
        /// Give it to somebody else.
        TransferApp,
    }
    OnTeam {
        /// See it, its features and preferences.
        ViewTeam,
        /// List its apps.
        ListTeamApps,
        /// Make an app of the team, or bring one.
        CreateTeamApp,
        /// List its members.
        ViewMembers,
        /// Leave it, and with it all its apps.
        LeaveTeam,
        /// Take members in and out, and say what they are.
        ManageMembers,
        /// Rename or delete it.
        ManageTeam,
    }
}

impl Action {
    /// What a token must reach for it.
    #[must_use]
    pub fn reach(self) -> Reach {
        match self {
            Self::ViewAccount | Self::ViewUser => Reach::Identity,
            Self::ManageAccount | Self::ManageUser => Reach::Account,
            Self::ViewConfig => Reach::ReadConfig,
            Self::EditConfig => Reach::WriteConfig,
            Self::Browse
            | Self::ListApps
            | Self::ListUserApps
            | Self::ListTransfers
            | Self::ViewInvitation
            | Self::ViewApp
            | Self::FetchCode
            | Self::ViewLogs
            | Self::ViewWebhooks
            | Self::ViewTeam
            | Self::ListTeamApps
            | Self::ViewMembers => Reach::Read,
            _ => Reach::Write,
        }
    }

    /// The permissions on an app of which one is needed (Heroku Dev Center, "App Permissions": "Matrix"). Those to
    /// enter and to leave hang on more than permissions; see [`crate::decide`].
    #[must_use]
    pub fn needs(self) -> &'static [Permission] {
        use Permission::{Deploy, Manage, Operate, View};
        match self {
            Self::ViewApp | Self::JoinApp | Self::LeaveApp => &[View],
            Self::FetchCode | Self::Deploy => &[Deploy],
            Self::ViewConfig | Self::EditConfig | Self::Rollback | Self::RunDyno => &[Deploy, Operate],
            Self::ViewLogs | Self::Restart | Self::ViewWebhooks | Self::Configure | Self::SetStack => &[Operate],
            Self::Scale | Self::SetMaintenance | Self::UpdateApp => &[Operate, Manage],
            Self::RenameApp | Self::DeleteApp | Self::ManageAccess | Self::LockApp | Self::TransferApp => &[Manage],
            _ => &[],
        }
    }
}
