//! Where everything lies: the data folder, and the folder of sockets.
//!
//! ```text
//! DATA/install      the install id: 6 letters and digits; names cgroups, tables, links and /run/slipway-ID
//! DATA/keys/        seal.key, ca.key, admin.json (0700, user slipway)
//! DATA/public/      ca.pem, bundle.pem: what users need to trust us
//! DATA/slipway.db   the store
//! DATA/blobs/ outputs/ logs/          owned by control
//! DATA/git/ hooks/ images/ stacks/ dynos/   owned by engine
//! /run/slipway-ID/  engine.sock, control.sock, routes.sock, table.json, settings.json, supervisor.json, lock
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Paths of one install.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The data folder.
    pub(crate) data: PathBuf,
    /// The install id.
    pub(crate) install: String,
}

impl Layout {
    /// The layout of a data folder that was made before; nothing if it was not.
    pub(crate) fn open(data: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(data.join("install")) {
            Ok(install) => Ok(Some(Self { data: data.to_owned(), install: install.trim().to_owned() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the data folder, making it and its install id if they do not exist.
    pub(crate) fn create(data: &Path) -> io::Result<Self> {
        fs::create_dir_all(data)?;
        if let Some(layout) = Self::open(data)? {
            return Ok(layout);
        }
        let mut bytes = [0; 6];
        getrandom::fill(&mut bytes).map_err(|_| io::Error::other("the kernel gave no random bytes"))?;
        let letters = b"abcdefghijkmnpqrstuvwxyz23456789";
        let install: String = bytes.iter().map(|byte| char::from(letters[usize::from(byte % 32)])).collect();
        fs::write(data.join("install"), &install)?;
        Ok(Self { data: data.to_owned(), install })
    }

    /// `/run/slipway-ID`.
    pub(crate) fn run(&self) -> PathBuf {
        PathBuf::from(format!("/run/slipway-{}", self.install))
    }

    /// A file or folder under the data folder.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    /// A file under `/run/slipway-ID`.
    pub(crate) fn in_run(&self, name: &str) -> PathBuf {
        self.run().join(name)
    }
}
