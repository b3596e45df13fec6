//! One file per resource: its endpoints, and how a row becomes one.

pub(crate) mod account;
pub(crate) mod app_name;
pub(crate) mod app_transfers;
pub(crate) mod apps;
pub(crate) mod authorizations;
pub(crate) mod buildpack_registry;
pub(crate) mod buildpacks;
pub(crate) mod builds;
pub(crate) mod collaborators;
pub(crate) mod config_vars;
pub(crate) mod domains;
pub(crate) mod dyno_sizes;
pub(crate) mod dynos;
pub(crate) mod favorites;
pub(crate) mod features;
pub(crate) mod formation;
pub(crate) mod keys;
pub(crate) mod log_sessions;
pub(crate) mod missing;
pub(crate) mod oauth_clients;
pub(crate) mod oauth_tokens;
pub(crate) mod regions;
pub(crate) mod releases;
pub(crate) mod sessions;
pub(crate) mod slugs;
pub(crate) mod sources;
pub(crate) mod stacks;
pub(crate) mod status;
pub(crate) mod team_apps;
pub(crate) mod team_members;
pub(crate) mod teams;
pub(crate) mod webhooks;

pub(crate) use shapes::catalogue;
