//! What a model is made of, before it is loaded: allocations under names.

use crate::allocation::Allocation;
use crate::plugin::Plugin;
use crate::source::{FileTensor, Safetensors, SafetensorsError};
use freehold_core::Bytes;
use std::path::Path;
use std::sync::Arc;

/// Where a model's tensors come from: a safetensors file, several (shards), or anything that can be described as
/// [`Allocation`]s under names. Nothing is read from it but headers until tensors are loaded. Cloning it copies no
/// content.
///
/// ```
/// use freehold_cuda::{Allocation, Bytes, HostBytes, ModelSource, VramManager};
///
/// let tensor = |byte: u8| Allocation::new(Bytes(4096)).source(HostBytes(vec![byte; 4096].into()));
/// let source = ModelSource::new().tensor("encoder", tensor(1)).tensor("decoder", tensor(2));
///
/// let manager = VramManager::builder().budget(Bytes(4096)).build()?; // half of it
/// let model = manager.load_model(&source, 0, "tiny")?;
/// for (name, handle) in &model {
///     println!("{name} is at {}", handle.access()?.device_ptr());
/// }
/// assert_eq!(model.get("decoder").unwrap().label(), "tiny/decoder");
/// model.release();
/// # Ok::<(), freehold_cuda::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ModelSource {
    pub(super) tensors: Vec<(Arc<str>, Allocation)>,
}

impl ModelSource {
    /// A model of no tensors.
    #[must_use]
    pub fn new() -> Self {
        ModelSource::default()
    }

    /// The model in one safetensors file.
    ///
    /// # Errors
    /// [`SafetensorsError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SafetensorsError> {
        Ok(ModelSource::from(&Safetensors::open(path)?))
    }

    /// The model in several safetensors files, in this order.
    ///
    /// # Errors
    /// [`SafetensorsError`] of the first that cannot be opened.
    pub fn open_shards(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self, SafetensorsError> {
        let mut model = ModelSource::new();
        for path in paths {
            model.tensors.extend(ModelSource::open(path)?.tensors);
        }
        Ok(model)
    }

    /// One tensor more. What the allocation says of label and priority is replaced when the model is loaded.
    #[must_use]
    pub fn tensor(mut self, name: impl Into<Arc<str>>, allocation: Allocation) -> Self {
        self.tensors.push((name.into(), allocation));
        self
    }

    /// Whose statistics all tensors count in.
    #[must_use]
    pub fn plugin(mut self, plugin: &Plugin) -> Self {
        for (_, allocation) in &mut self.tensors {
            allocation.plugin = Some(plugin.clone());
        }
        self
    }

    /// How many bytes all tensors have.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        Bytes(self.tensors.iter().map(|(_, allocation)| allocation.bytes.get()).sum())
    }
}

impl From<&Safetensors> for ModelSource {
    fn from(file: &Safetensors) -> Self {
        let described = |tensor: &FileTensor| {
            let metadata = format!("{} {:?}", tensor.dtype(), tensor.shape());
            (tensor.shared_name(), Allocation::new(tensor.bytes()).metadata(metadata).source(tensor.range()))
        };
        ModelSource { tensors: file.tensors().iter().map(described).collect() }
    }
}
