//! Repositories (interim).
#![allow(missing_docs, reason = "interim")]
#[derive(Debug)]
pub struct Repositories;
use std::os::fd::OwnedFd;
use engine::{GitService, Refusal};
use vocabulary::AppId;
#[allow(clippy::unused_async, clippy::missing_errors_doc, unused_variables, reason = "interim")]
impl Repositories {
    pub async fn create(&self, app: AppId) -> Result<(), Refusal> { Ok(()) }
    pub async fn remove(&self, app: AppId) -> Result<(), Refusal> { Ok(()) }
    pub async fn run(&self, app: AppId, service: GitService, protocol: Option<String>, fds: Vec<OwnedFd>) -> Result<i32, Refusal> { Ok(0) }
}
