//! One function per resource.

use access::AppStanding;
use schema::{BuildBuildpack, Id, Named, SourceBlob, User};
use serde_json::{Map, json};
use store::apps::App;
use store::builds::Build;
use store::collaborators::Collaborator;
use store::domains::Domain;
use store::dynos::Dyno;
use store::formation::Formation;
use store::releases::Release;
use vocabulary::{AccountId, Permission, Permissions, ReleaseStatus, TeamId, TeamName, TeamRole};

use crate::{Hosts, catalogue};

/// Who has an app.
#[derive(Debug, Clone)]
pub struct AppOwner {
    /// The account, or the team as one.
    pub user: User,
    /// The team.
    pub team: Option<Named>,
}

impl AppOwner {
    /// An account, or the team that has the app.
    #[must_use]
    pub fn new(account: User, team: Option<(TeamId, &TeamName)>) -> Self {
        match team {
            Some((id, name)) => {
                Self { user: team_owner(id, name), team: Some(Named { id: id.uuid(), name: name.to_string() }) }
            }
            None => Self { user: account, team: None },
        }
    }
}

/// A team as the owner of an app, under the address by which the official command knows one.
#[must_use]
pub fn team_owner(id: TeamId, name: &TeamName) -> User {
    User { id: id.uuid(), email: format!("{name}@herokumanager.com") }
}

/// Somebody.
#[must_use]
pub fn user(id: AccountId, email: &str) -> User {
    User { id: id.uuid(), email: email.to_owned() }
}

/// How others show an app.
#[must_use]
pub fn app_reference(app: &App) -> Named {
    Named { id: app.id.uuid(), name: app.name.to_string() }
}

/// How others show the region.
#[must_use]
pub fn region() -> Named {
    catalogue::named("region", catalogue::REGION)
}

/// An app, its generation shown like this. `api_host` is where the API was asked.
#[must_use]
pub fn app<G>(app: &App, owner: AppOwner, hosts: &Hosts, api_host: &str, generation: G) -> schema::App<G> {
    schema::App {
        id: app.id.uuid(),
        name: app.name.to_string(),
        acm: false,
        archived_at: None,
        base_image_name: None,
        build_stack: catalogue::stack(app.build_stack),
        stack: catalogue::stack(app.stack),
        buildpack_provided_description: app.buildpack_provided_description.clone(),
        buildpacks: None,
        current_build_architecture: vec![],
        generation,
        git_url: hosts.git_url(&app.name, api_host),
        web_url: Some(hosts.web_url(&app.name)),
        internal_routing: None,
        maintenance: app.maintenance,
        organization: owner.team.clone(),
        team: owner.team,
        space: None,
        owner: owner.user,
        region: region(),
        repo_size: None,
        slug_size: app.slug_size,
        released_at: app.released_at.map(Into::into),
        created_at: app.created_at.into(),
        updated_at: app.updated_at.into(),
    }
}

/// A build; the two addresses are those of its output and its source.
#[must_use]
pub fn build(build: &Build, user: User, output_stream_url: String, source_url: String) -> schema::Build {
    let buildpack = |given: &String| BuildBuildpack { url: given.clone(), name: given.clone() };
    schema::Build {
        id: build.id.uuid(),
        app: Id { id: build.app_id.uuid() },
        buildpacks: Some(build.buildpacks.iter().map(buildpack).collect()),
        generation: "cedar",
        labs: Map::new(),
        output_stream_url,
        release: build.release_id.map(|id| Id { id: id.uuid() }),
        slug: build.slug_id.map(|id| Id { id: id.uuid() }),
        source_blob: SourceBlob {
            checksum: Some(format!("SHA256:{}", build.source)),
            url: source_url,
            version: build.source_version.clone(),
            version_description: build.source_version_description.clone(),
        },
        stack: build.stack.to_string(),
        status: build.status.as_str(),
        user,
        created_at: build.created_at.into(),
        updated_at: build.updated_at.into(),
    }
}

/// A release; `current` is whether it is what runs, the address that of its release phase's output.
#[must_use]
pub fn release(
    release: &Release,
    app: &App,
    user: User,
    current: bool,
    output_stream_url: Option<String>,
) -> schema::Release {
    let slug = release.slug_id.map(|id| Id { id: id.uuid() });
    schema::Release {
        id: release.id.uuid(),
        version: release.version.number(),
        addon_plan_names: vec![],
        app: app_reference(app),
        artifacts: slug.iter().map(|slug| json!({"type": "slug", "id": slug.id})).collect(),
        current,
        description: release.description.clone(),
        eligible_for_rollback: release.status == ReleaseStatus::Succeeded && slug.is_some(),
        oci_image: None,
        output_stream_url,
        slug,
        status: release.status.as_str(),
        user,
        created_at: release.created_at.into(),
        updated_at: release.updated_at.into(),
    }
}

/// A dyno; `version` is its release's number.
#[must_use]
pub fn dyno(dyno: &Dyno, app: &App, version: i64) -> schema::Dyno {
    schema::Dyno {
        id: dyno.id.uuid(),
        name: dyno.name.to_string(),
        app: app_reference(app),
        attach_url: None,
        command: dyno.command.clone(),
        release: schema::Numbered { id: dyno.release_id.uuid(), version },
        size: dyno.size.to_string(),
        state: dyno.state.as_str(),
        kind: dyno.name.process_type().to_string(),
        created_at: dyno.created_at.into(),
        updated_at: dyno.updated_at.into(),
    }
}

/// A process type's share; the command is the current slug's.
#[must_use]
pub fn formation(entry: &Formation, app: &App, command: &str) -> schema::Formation {
    schema::Formation {
        id: entry.id.uuid(),
        app: app_reference(app),
        kind: entry.process_type.to_string(),
        command: command.to_owned(),
        quantity: entry.quantity,
        size: entry.size.to_string(),
        dyno_size: catalogue::named("dyno-size", entry.size.name()),
        created_at: entry.created_at.into(),
        updated_at: entry.updated_at.into(),
    }
}

/// A custom domain.
#[must_use]
pub fn domain(row: &Domain, app: &App, hosts: &Hosts) -> schema::Domain {
    schema::Domain {
        id: row.id.uuid(),
        app: app_reference(app),
        hostname: row.hostname.to_string(),
        kind: "custom",
        cname: Some(format!("{}.{}", row.target, hosts.domain)),
        acm_status: None,
        acm_status_reason: None,
        sni_endpoint: None,
        status: "succeeded",
        created_at: row.created_at.into(),
        updated_at: row.updated_at.into(),
    }
}

/// Somebody who was let in; `role` is what they are in the app's team.
#[must_use]
pub fn collaborator(one: &Collaborator, app: &App, user: User, role: Option<TeamRole>) -> schema::Collaborator {
    let standing = match app.team_id {
        Some(_) => AppStanding::Team { role, given: one.permissions, locked: app.locked },
        None => AppStanding::Collaborator,
    };
    schema::Collaborator {
        id: one.id.uuid(),
        app: app_reference(app),
        permissions: meanings(standing.permissions()),
        role: Some(role.map_or("collaborator", TeamRole::as_str)),
        user,
        created_at: one.created_at.into(),
        updated_at: one.updated_at.into(),
    }
}

/// Permissions with what they mean.
#[must_use]
pub fn meanings(permissions: Permissions) -> Vec<schema::Permission> {
    let each = permissions.iter().map(|one| schema::Permission { name: one.as_str(), description: meaning(one) });
    each.collect()
}

fn meaning(permission: Permission) -> &'static str {
    match permission {
        Permission::View => "Can see the app, its dynos and its releases",
        Permission::Deploy => "Can read and deploy code, and set config vars",
        Permission::Operate => "Can scale, restart, configure and read logs",
        Permission::Manage => "Can rename, delete and transfer the app, and let others in",
    }
}
