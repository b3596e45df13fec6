//! Which folders an install has, and whose they are.

use std::path::PathBuf;

use crate::layout::Layout;
use crate::users::{User, Users};

/// A folder as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    /// Where.
    pub(crate) path: PathBuf,
    /// Who may pass, read and write.
    pub(crate) mode: u32,
    /// Whose; root's if nobody's.
    pub(crate) owner: Option<User>,
}

/// All of them, each after the one it lies in. What is below the data folder is root's unless a role keeps its own
/// there, so that no other user decides what stands at the paths that root works on.
pub(crate) fn folders(layout: &Layout, users: &Users) -> Vec<Folder> {
    let at = |name: &str, mode, owner| Folder { path: layout.at(name), mode, owner };
    let mut all = vec![Folder { path: layout.data.clone(), mode: 0o711, owner: None }];
    all.extend(
        ["store", "keys", "blobs", "outputs", "logs", "pushes"].map(|name| at(name, 0o700, Some(users.control))),
    );
    all.push(at("public", 0o755, Some(users.control)));
    all.extend(["bin", "images", "stacks", "dynos", "hooks"].map(|name| at(name, 0o755, None)));
    all.push(at("git", 0o711, None));
    // Nothing is below /run while nothing of the install runs.
    if layout.run().exists() {
        all.push(Folder { path: layout.run(), mode: 0o711, owner: None });
        all.push(Folder { path: layout.in_run("router"), mode: 0o700, owner: Some(users.router) });
    }
    all
}
