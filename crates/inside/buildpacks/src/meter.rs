//! A reader that gives so many bytes and then refuses: bounds what the reader of a format keeps in memory between two
//! of its entries.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// How many bytes may still be read; whoever holds a clone fills it up again.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Rc<Cell<u64>>);

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Rc::new(Cell::new(bytes)))
    }

    pub(crate) fn set(&self, bytes: u64) {
        self.0.set(bytes);
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.0.get() == 0
    }
}

/// Reads within a budget.
#[derive(Debug)]
pub(crate) struct Meter<R> {
    inner: R,
    budget: Budget,
}

impl<R> Meter<R> {
    pub(crate) fn new(inner: R, budget: Budget) -> Self {
        Self { inner, budget }
    }
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.budget.0.get()).unwrap_or(usize::MAX);
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::other("more bytes than there may be"));
        }
        let most = left.min(buffer.len());
        let (within, _) = buffer.split_at_mut(most);
        let count = self.inner.read(within)?;
        self.budget.0.set(self.budget.0.get().saturating_sub(count as u64));
        Ok(count)
    }
}
