//! Two plugins that know nothing of each other run one model on a card that holds only half of it.
//!
//! `cargo run --example two_plugins -- model.safetensors`

use freehold_cuda::{Bytes, ModelSource, Stats, VramManager};
use std::error::Error;
use std::path::Path;

/// What a plugin's author writes: open, share, use. Says what the card had to do for it.
pub(crate) fn share_a_model(path: &Path) -> Result<Stats, Box<dyn Error>> {
    let source = ModelSource::open(path)?;
    let manager = VramManager::builder().budget(Bytes(source.bytes().get() / 2)).build()?;
    let (vision, speech) = (manager.plugin("vision"), manager.plugin("speech"));
    let seen = manager.acquire_shared_model(&source.clone().plugin(&vision), 1, "encoder")?;
    let heard = manager.acquire_shared_model(&source.plugin(&speech), 0, "encoder")?;
    for (name, handle) in seen.iter().chain(heard.iter()) {
        let tensor = handle.access()?; // on the card, pinned, complete
        println!("{name} of {} at {:#x}", tensor.bytes(), tensor.device_ptr());
    } // unpinned: whoever needs the room may have it
    Ok(manager.stats())
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("the path of a safetensors file, please")?;
    let stats = share_a_model(Path::new(&path))?;
    println!("{} loads, {} evictions, {} bytes at most", stats.loads, stats.evictions, stats.peak_resident_bytes);
    Ok(())
}
