//! Where a weight's bytes come from: made anew at every load, or made once and kept where a card copies from them by itself.

use std::sync::{Arc, OnceLock};

use freehold_cuda::{Bytes, DeviceMemory, PinnedBytes, Source, SourceError, source};

use super::contents::Contents;
use crate::args;

/// The bytes that were made once, by id.
#[derive(Debug)]
pub(super) struct Stock {
    device: Arc<dyn DeviceMemory>,
    /// Empty where bytes are made anew.
    pinned: Vec<OnceLock<Arc<PinnedBytes>>>,
}

impl Stock {
    pub(super) fn new(contents: args::Contents, ids: usize, device: Arc<dyn DeviceMemory>) -> Stock {
        let kept = if contents == args::Contents::Pinned { ids } else { 0 };
        Stock { device, pinned: (0..kept).map(|_| OnceLock::new()).collect() }
    }

    /// What brings the bytes of a weight.
    pub(super) fn source(&self, id: u32, bytes: Bytes) -> Arc<dyn Source> {
        let contents = Contents::of(id);
        match self.pinned.get(id as usize) {
            Some(place) => place.get_or_init(|| self.pin(contents, bytes)).clone(),
            None => Arc::new(source::closure(move |target: &mut [u8]| -> Result<(), SourceError> {
                contents.fill(0, target);
                Ok(())
            })),
        }
    }

    fn pin(&self, contents: Contents, bytes: Bytes) -> Arc<PinnedBytes> {
        let mut pinned = PinnedBytes::zeroed(bytes).expect("the machine has memory for every weight");
        contents.fill(0, pinned.as_mut_slice());
        if let Err(error) = Arc::clone(&self.device).register_pinned(&pinned) {
            // They are right all the same, and slower: whoever reads the figures is to know.
            eprintln!("freehold: {error}");
        }
        Arc::new(pinned)
    }
}
