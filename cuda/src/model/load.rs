//! Loading a whole model: all or nothing. Where one tensor fails, those before it are released again.

use super::{Model, ModelSource};
use crate::allocation::Allocation;
use crate::error::Error;
use crate::handle::VramHandle;
use crate::manager::VramManager;
use freehold_core::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

impl VramManager {
    /// A handle for each tensor of `source`, labelled `label/name`, its content on the card. Tensors are loaded in order
    /// as far as they fit into the budget together; the rest come with their first access, because loading them now
    /// would only evict the first ones.
    ///
    /// # Errors
    /// [`Error::DuplicateTensor`]; those of [`allocate`](Self::allocate), for the first tensor that fails. No tensor is
    /// left then.
    pub fn load_model(&self, source: &ModelSource, priority: i32, label: &str) -> Result<Model, Error> {
        self.model(source, priority, label, self.budget(), |fits, allocation| match fits {
            true => self.allocate(allocation),
            false => self.register(allocation),
        })
    }

    /// As [`load_model`](Self::load_model), but every tensor comes with its first access.
    ///
    /// # Errors
    /// As there, those of the sources left out.
    pub fn register_model(&self, source: &ModelSource, priority: i32, label: &str) -> Result<Model, Error> {
        self.model(source, priority, label, Bytes::ZERO, |_, allocation| self.register(allocation))
    }

    /// Joins the model that any number of plugins share under `label`, loading what nobody has loaded: each tensor is
    /// shared weights of the key `label/name` (D1..D8). The priority is this consumer's; the highest counts.
    ///
    /// # Errors
    /// As [`load_model`](Self::load_model); [`Error::SharedMismatch`] where a tensor exists with another size, type or
    /// shape. This consumer holds no tensor then, and the others' are untouched.
    pub fn acquire_shared_model(&self, source: &ModelSource, priority: i32, label: &str) -> Result<Model, Error> {
        self.model(source, priority, label, self.budget(), |fits, allocation| {
            let key = allocation.label.shared();
            match fits {
                true => self.acquire_shared_weights(&key, allocation),
                false => self.register_shared_weights(&key, allocation),
            }
        })
    }

    /// As [`acquire_shared_model`](Self::acquire_shared_model), but what nobody has loaded comes with its first access.
    ///
    /// # Errors
    /// As there, those of the sources left out.
    pub fn register_shared_model(&self, source: &ModelSource, priority: i32, label: &str) -> Result<Model, Error> {
        self.model(source, priority, label, Bytes::ZERO, |_, allocation| {
            self.register_shared_weights(&allocation.label.shared(), allocation)
        })
    }

    /// A handle for each tensor in order, made by `make`, which is told whether the tensor fits into `room` beside those
    /// before it. What has been made is dropped, and so released, where the next fails.
    fn model(
        &self,
        source: &ModelSource,
        priority: i32,
        label: &str,
        room: Bytes,
        make: impl Fn(bool, Allocation) -> Result<VramHandle, Error>,
    ) -> Result<Model, Error> {
        let label: Arc<str> = label.into();
        let mut model = Model { label, tensors: Vec::with_capacity(source.tensors.len()), by_name: HashMap::new() };
        let mut needed = Bytes::ZERO;
        for (name, allocation) in &source.tensors {
            let path: Arc<str> = format!("{}/{name}", model.label).into();
            if model.by_name.insert(Arc::clone(name), model.tensors.len()).is_some() {
                return Err(Error::DuplicateTensor { label: path });
            }
            needed = Bytes(needed.get().saturating_add(self.inner().reserved(allocation.bytes).get()));
            let handle = make(needed <= room, allocation.clone().priority(priority).label(path))?;
            model.tensors.push((Arc::clone(name), handle));
        }
        Ok(model)
    }
}
