//! What git wrote, on the disk: git syncs its files (`core.fsync`) and no folder, so that after a power cut a file may be
//! there that nothing leads to.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Syncs the folders of a repository that a push may have written to. One that was not written to costs nothing.
pub(super) async fn folders(repository: PathBuf) -> io::Result<()> {
    blocking(move || {
        tree(&repository.join("objects"), false)?;
        tree(&repository.join("refs"), false)?;
        folder(&repository)
    })
    .await
}

/// Syncs a new repository to its last file.
pub(super) async fn everything(repository: PathBuf) -> io::Result<()> {
    blocking(move || tree(&repository, true)).await
}

/// Syncs what a folder says of its entries.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn tree(path: &Path, with_files: bool) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let synced = match (kind.is_dir(), with_files && kind.is_file()) {
            (true, _) => tree(&entry.path(), with_files),
            (false, true) => File::open(entry.path()).and_then(|file| file.sync_all()),
            (false, false) => Ok(()),
        };
        match synced {
            // A push beside this one took its quarantine away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            synced => synced?,
        }
    }
    folder(path)
}

async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten()
}
