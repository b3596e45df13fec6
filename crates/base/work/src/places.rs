//! How much is under way at a time: of one owner, and of all together.
//!
//! What takes long, such as a push that waits for its build, must not let one owner shut the door for the others.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places; clones share them.
#[derive(Debug, Clone)]
pub struct Places<K> {
    all: Arc<Semaphore>,
    each: usize,
    taken: Taken<K>,
}

/// How many places each owner has; who has none is not in it.
type Taken<K> = Arc<Mutex<HashMap<K, usize>>>;

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The owner has as many as one may have: so many.
    Own(usize),
    /// All together have as many as there are.
    All,
}

/// A place; dropped, it is free again.
#[derive(Debug)]
pub struct Place<K: Eq + Hash> {
    _permit: Option<OwnedSemaphorePermit>,
    owner: Option<(K, Taken<K>)>,
}

impl<K: Eq + Hash + Clone> Places<K> {
    /// So many in all, and so many for each owner.
    #[must_use]
    pub fn new(all: usize, each: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), each, taken: Arc::default() }
    }

    /// A place for one more of this owner's.
    pub fn take(&self, owner: &K) -> Result<Place<K>, Full> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(owner).copied().unwrap_or_default();
        if own >= self.each {
            return Err(Full::Own(self.each));
        }
        let permit = Arc::clone(&self.all).try_acquire_owned().map_err(|_| Full::All)?;
        taken.insert(owner.clone(), own + 1);
        Ok(Place { _permit: Some(permit), owner: Some((owner.clone(), Arc::clone(&self.taken))) })
    }

    /// A place for the platform itself, which waits its turn.
    pub async fn wait(&self) -> Place<K> {
        // The semaphore is never closed.
        Place { _permit: Arc::clone(&self.all).acquire_owned().await.ok(), owner: None }
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let Some((owner, taken)) = &self.owner else { return };
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let left = taken.get_mut(owner).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            taken.remove(owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_cannot_take_every_place() {
        let places = Places::new(3, 2);
        let mine = [places.take(&"me").unwrap(), places.take(&"me").unwrap()];
        assert_eq!(places.take(&"me").unwrap_err(), Full::Own(2));
        let yours = places.take(&"you").unwrap();
        assert_eq!(places.take(&"they").unwrap_err(), Full::All);
        drop(mine);
        assert!(places.take(&"me").is_ok() && places.take(&"they").is_ok());
        drop(yours);
        assert!(places.taken.lock().unwrap().is_empty());
    }
}
