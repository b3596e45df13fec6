//! An app.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{Named, Team, Time, User};

/// An app. `G` is how it shows its generation: by id and name, in a team's list by name alone.
#[derive(Debug, Clone, Serialize)]
pub struct App<G = Named> {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Whether certificates are managed for it.
    pub acm: bool,
    /// Always null.
    pub archived_at: Option<Time>,
    /// Null: stacks are not container images here.
    pub base_image_name: Option<String>,
    /// The stack of the next build.
    pub build_stack: Named,
    /// The stack of the current release.
    pub stack: Named,
    /// What the last build called the app: `Node.js`.
    pub buildpack_provided_description: Option<String>,
    /// Null: only Cloud Native builds fill it.
    pub buildpacks: Option<Vec<Value>>,
    /// What the current slug runs on.
    pub current_build_architecture: Vec<String>,
    /// `cedar`.
    pub generation: G,
    /// Where to push.
    pub git_url: String,
    /// Where the web dynos answer.
    pub web_url: Option<String>,
    /// Null: there are no spaces.
    pub internal_routing: Option<bool>,
    /// Whether every request gets the maintenance page.
    pub maintenance: bool,
    /// The team that has it, under its former name.
    pub organization: Option<Team>,
    /// The team that has it.
    pub team: Option<Team>,
    /// Null: there are no spaces.
    pub space: Option<Named>,
    /// Whose.
    pub owner: User,
    /// Where.
    pub region: Named,
    /// Bytes of the repository; not measured yet, null.
    pub repo_size: Option<i64>,
    /// Bytes of the current slug.
    pub slug_size: Option<i64>,
    /// When it was last released.
    pub released_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}
