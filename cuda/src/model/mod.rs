//! A whole model: its tensors under their names, each with a handle of its own.
//!
//! A model is not an entry: what comes, is used and leaves is one tensor at a time, so that a model larger than the
//! budget runs, and another that needs a little room does not throw out the whole of it.

mod load;
mod source;

pub use source::ModelSource;

use crate::error::Error;
use crate::handle::VramHandle;
use crate::prefetch::Prefetch;
use freehold_core::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

/// The handles of one model's tensors. Dropping it releases them all; so does [`release`](Self::release).
#[derive(Debug)]
pub struct Model {
    label: Arc<str>,
    tensors: Vec<(Arc<str>, VramHandle)>,
    by_name: HashMap<Arc<str>, usize>,
}

impl Model {
    /// The handle of the tensor called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&VramHandle> {
        self.by_name.get(name).map(|&index| &self.tensors[index].1)
    }

    /// As [`get`](Self::get), for writing: what is written survives eviction (C11). Shared models are immutable.
    #[must_use]
    pub fn get_mut(&mut self, name: &str) -> Option<&mut VramHandle> {
        self.by_name.get(name).map(|&index| &mut self.tensors[index].1)
    }

    /// All tensors by name, in the order of their source.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &VramHandle)> {
        self.tensors.iter().map(|(name, handle)| (&**name, handle))
    }

    /// What it was loaded as. Its tensors are labelled `label/name`.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// How many tensors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether it has no tensors.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// How many bytes all tensors have, on the card or not.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        Bytes(self.iter().map(|(_, handle)| handle.bytes().get()).sum())
    }

    /// How many of them are on the card at this moment: for reports.
    #[must_use]
    pub fn resident_bytes(&self) -> Bytes {
        let resident = self.iter().filter(|(_, handle)| handle.is_resident());
        Bytes(resident.map(|(_, handle)| handle.bytes().get()).sum())
    }

    /// The importance of all tensors from the next eviction on (B8).
    pub fn set_priority(&self, priority: i32) {
        self.iter().for_each(|(_, handle)| handle.set_priority(priority));
    }

    /// Asks for all tensors in order, as [`VramManager::prefetch`](crate::VramManager::prefetch) does, and returns at once. Says how many are on the
    /// card or will be brought: it stops at the first that finds the queue full.
    ///
    /// # Errors
    /// [`Error::Released`].
    pub fn prefetch(&self) -> Result<usize, Error> {
        for (done, (_, handle)) in self.iter().enumerate() {
            if handle.prefetch()? == Prefetch::Skipped {
                return Ok(done);
            }
        }
        Ok(self.len())
    }

    /// Gives all memory back; idempotent. Of a shared model it ends this consumer's part only.
    pub fn release(&self) {
        self.iter().for_each(|(_, handle)| handle.release());
    }
}

impl<'m> IntoIterator for &'m Model {
    type Item = (&'m str, &'m VramHandle);
    type IntoIter = Box<dyn Iterator<Item = Self::Item> + 'm>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}
