//! Where everything lies: the data folder, and the folder of sockets.
//!
//! ```text
//! DATA/install      the install id: 6 letters and digits; names cgroups, tables, links and /run/slipway-ID
//! DATA/keys/        seal.key, ca.key, admin.json (0700, user slipway)
//! DATA/public/      ca.pem, bundle.pem: what users need to trust us
//! DATA/store/       slipway.db, the store, if it is in no other database (0700, user slipway); DATA/record says where it is
//! DATA/blobs/ outputs/ logs/ pushes/  owned by control
//! DATA/bin/         copies of our programs, for users that cannot pass to where they lie
//! DATA/git/ hooks/ images/ stacks/ dynos/ disks/ programs/   owned by engine
//! /run/slipway-ID/  engine.sock, control.sock, routes.sock, rendezvous.sock; settings.json, database, router.json, supervisor.pid, lock, slot
//!                   i/ (the engine's), mounts/ (layers), router/table.json (the router's copy of the routes)
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How many installs one machine holds: each has a slot, which decides its range of addresses and of user ids.
pub(crate) const SLOTS: u32 = 16;

/// What install ids are made of.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

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
            Ok(install) => {
                let install = install.trim().to_owned();
                if !is_install_id(&install) {
                    let file = data.join("install").display().to_string();
                    return Err(io::Error::other(format!("{file} holds no install id, but {install:?}")));
                }
                Ok(Some(Self { data: data.to_owned(), install }))
            }
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
        let install: String = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
        // Its loss would be that of everything that is named after it.
        crate::durable::write(&data.join("install"), install.as_bytes(), 0o644)?;
        Ok(Self { data: data.to_owned(), install })
    }

    /// The slot this install runs in, from 0 below [`SLOTS`]; nothing before [`Layout::take_slot`].
    pub(crate) fn slot(&self) -> Option<u32> {
        slot_in(&self.run())
    }

    /// Takes a slot that no install with a folder under `/run` has, and keeps the one it has.
    pub(crate) fn take_slot(&self) -> io::Result<u32> {
        if let Some(slot) = self.slot() {
            return Ok(slot);
        }
        let others = fs::read_dir("/run")?.flatten().map(|entry| entry.path());
        let others =
            others.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("slipway-")));
        let taken: Vec<u32> = others.filter_map(|path| slot_in(&path)).collect();
        let free = (0..SLOTS).find(|slot| !taken.contains(slot));
        let slot = free.ok_or_else(|| io::Error::other(format!("{SLOTS} installs have folders under /run already")))?;
        fs::write(self.in_run("slot"), slot.to_string())?;
        Ok(slot)
    }

    /// `/run/slipway-ID`.
    pub(crate) fn run(&self) -> PathBuf {
        PathBuf::from(format!("/run/slipway-{}", self.install))
    }

    /// The store's file.
    pub(crate) fn store(&self) -> PathBuf {
        self.at("store/slipway.db")
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

/// Six of [`LETTERS`]: the id becomes a part of paths and names.
fn is_install_id(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|byte| LETTERS.contains(&byte))
}

fn slot_in(run: &Path) -> Option<u32> {
    fs::read_to_string(run.join("slot")).ok()?.trim().parse().ok().filter(|slot| *slot < SLOTS)
}
