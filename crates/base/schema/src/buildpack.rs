//! Buildpacks: those set on an app, and the registry of those there are.

use serde::Serialize;
use uuid::Uuid;

use crate::Time;

/// One entry of an app's list.
#[derive(Debug, Clone, Serialize)]
pub struct BuildpackInstallation {
    /// Its place, from 0.
    pub ordinal: usize,
    /// Which.
    pub buildpack: NamedUrl,
}

/// A buildpack by address and name.
#[derive(Debug, Clone, Serialize)]
pub struct NamedUrl {
    /// `urn:buildpack:heroku/nodejs`, or an address.
    pub url: String,
    /// `heroku/nodejs`, or the address again.
    pub name: String,
}

/// A buildpack of the registry (`/buildpacks/NAMESPACE%2FNAME`).
#[derive(Debug, Clone, Serialize)]
pub struct RegistryBuildpack {
    /// Its id.
    pub id: Uuid,
    /// `heroku`.
    pub namespace: &'static str,
    /// `nodejs`.
    pub name: &'static str,
    /// What it builds.
    pub description: &'static str,
    /// `languages`, `tools`.
    pub category: &'static str,
    /// Who helps.
    pub support: &'static str,
    /// Its licence.
    pub license: &'static str,
    /// What to put in an app's list.
    pub blob_url: String,
    /// Where it comes from.
    pub source: RegistrySource,
}

/// Where a buildpack comes from.
#[derive(Debug, Clone, Serialize)]
pub struct RegistrySource {
    /// `built-in`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its namespace.
    pub owner: &'static str,
    /// Its name.
    pub repo: &'static str,
}

/// A revision of a buildpack of the registry.
#[derive(Debug, Clone, Serialize)]
pub struct Revision {
    /// Its number.
    pub release: u32,
    /// `published`.
    pub status: &'static str,
    /// Its licence.
    pub license: &'static str,
    /// When it was made.
    pub created_at: Time,
}
