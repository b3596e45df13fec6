//! Who holds which digest while no row names it.

use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vocabulary::Digest;

/// The pins of one folder of blobs; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pins(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// How often each is held. While a sweep runs, those that were let go stay, with 0.
    held: HashMap<Digest, usize>,
    sweeps: usize,
}

/// Keeps a blob, or a layer, from collection while it is held: from before the file has its name until a row names it.
///
/// A crash lets go of every pin, and with it ends whatever held them.
#[derive(Debug)]
pub struct Pin {
    digest: Digest,
    pins: Pins,
}

impl Clone for Pin {
    fn clone(&self) -> Self {
        self.pins.pin(&self.digest)
    }
}

impl Deref for Pin {
    type Target = Digest;

    fn deref(&self) -> &Digest {
        &self.digest
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.pins.state();
        let Some(count) = state.held.get_mut(&self.digest) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 && state.sweeps == 0 {
            state.held.remove(&self.digest);
        }
    }
}

impl Pins {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pin(&self, digest: &Digest) -> Pin {
        *self.state().held.entry(digest.clone()).or_default() += 1;
        Pin { digest: digest.clone(), pins: self.clone() }
    }

    /// From now on, what is let go stays known.
    pub(crate) fn begin(&self) {
        self.state().sweeps += 1;
    }

    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.sweeps -= 1;
        if state.sweeps == 0 {
            state.held.retain(|_, count| *count > 0);
        }
    }

    /// All that is held, or was since the sweep began.
    pub(crate) fn known(&self) -> BTreeSet<Digest> {
        self.state().held.keys().cloned().collect()
    }

    /// Does it unless the digest is held, or was since the sweep began; nobody takes hold of it meanwhile.
    pub(crate) fn unless_known<T>(&self, digest: &Digest, act: impl FnOnce() -> T) -> Option<T> {
        let state = self.state();
        if state.held.contains_key(digest) { None } else { Some(act()) }
    }
}
