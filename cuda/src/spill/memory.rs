//! Host memory for what was spilled: small pieces from the heap, large ones in pages of their own, used again.
//!
//! Fresh pages are dear. 7 MiB copied into fresh pages took 16 ms, with huge pages advised 9, into pages used before 1.7
//! (virtual machine with 2 busy cores). A card that is over-full spills one buffer whenever it restores another, so the
//! pages that a restore gives up are what the next spill needs: they are kept for it, up to a limit.

use freehold_core::Bytes;
use memmap2::MmapMut;
use parking_lot::Mutex;
use std::io;

/// From here on spilled bytes get pages of their own. Below, the heap is faster and keeps less than it is asked for.
const OWN_PAGES: usize = 128 << 10;

/// The most that is kept to be used again: what is beyond goes back to the system at once.
const KEPT: usize = 256 << 20;

/// Host memory that holds what an eviction wrote out.
#[derive(Debug)]
pub(crate) struct Spilled {
    memory: Memory,
    length: usize,
}

#[derive(Debug)]
enum Memory {
    Heap(Vec<u8>),
    Pages(MmapMut),
}

/// Pages that nobody uses now, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Spares(Mutex<Vec<MmapMut>>);

impl Spilled {
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes(self.length as u64)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match &self.memory {
            Memory::Heap(bytes) => &bytes[..self.length],
            Memory::Pages(pages) => &pages[..self.length],
        }
    }

    /// To be written whole: where the pages were used before, they hold what they held.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Heap(bytes) => &mut bytes[..self.length],
            Memory::Pages(pages) => &mut pages[..self.length],
        }
    }
}

impl Spares {
    /// Memory for `bytes`, used before where something fits. Refused, not fatal, where the host has none.
    pub(crate) fn take(&self, bytes: Bytes) -> io::Result<Spilled> {
        let length = usize::try_from(bytes.get()).map_err(io::Error::other)?;
        let memory = if length < OWN_PAGES { on_heap(length).map(Memory::Heap) } else { self.pages(length) };
        Ok(Spilled { memory: memory?, length })
    }

    /// The mirror of `take`.
    pub(crate) fn give_back(&self, spilled: Spilled) {
        let Memory::Pages(pages) = spilled.memory else { return };
        let mut spare = self.0.lock();
        spare.push(pages);
        let beyond = total(&spare).saturating_sub(KEPT);
        let_go(&mut spare, beyond);
    }

    /// Gives all that is spare back to the system.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    /// The smallest spare pages that fit and waste little. Where there are none, fresh ones in place of as many spare ones:
    /// so what is in use and what is spare never come to more than the most that was ever spilled at once.
    fn pages(&self, length: usize) -> io::Result<Memory> {
        let mut spare = self.0.lock();
        let fits = |pages: &MmapMut| (length..=length + length / 8).contains(&pages.len());
        let fitting = spare.iter().enumerate().filter(|(_, pages)| fits(pages));
        let best = fitting.min_by_key(|(_, pages)| pages.len()).map(|(index, _)| index);
        if let Some(index) = best {
            return Ok(Memory::Pages(spare.remove(index)));
        }
        let_go(&mut spare, length);
        drop(spare);
        fresh(length).map(Memory::Pages)
    }
}

fn total(spare: &[MmapMut]) -> usize {
    spare.iter().map(|pages| pages.len()).sum()
}

/// Lets the oldest go until `bytes` have gone, or all have. Bounded by the spares.
fn let_go(spare: &mut Vec<MmapMut>, bytes: usize) {
    let mut gone = 0;
    spare.retain(|pages| {
        let stays = gone >= bytes;
        gone += if stays { 0 } else { pages.len() };
        stays
    });
}

fn fresh(length: usize) -> io::Result<MmapMut> {
    let pages = MmapMut::map_anon(length)?;
    // Advice: where the system has no huge pages, small ones do.
    #[cfg(target_os = "linux")]
    let _ = pages.advise(memmap2::Advice::HugePage);
    Ok(pages)
}

fn on_heap(length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(io::Error::other)?;
    bytes.resize(length, 0);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn taken(spares: &Spares, bytes: usize) -> Spilled {
        spares.take(Bytes(bytes as u64)).unwrap()
    }

    #[test]
    fn pages_are_used_again_where_they_fit() {
        let spares = Spares::default();
        let first = taken(&spares, MIB);
        let address = first.as_slice().as_ptr();
        spares.give_back(first);
        let again = taken(&spares, MIB - 7);
        assert_eq!((again.as_slice().as_ptr(), again.bytes()), (address, Bytes(MIB as u64 - 7)));
        assert_eq!(total(&spares.0.lock()), 0);
    }

    #[test]
    fn used_and_spare_never_exceed_the_most_that_was_used() {
        let spares = Spares::default();
        let mut peak = 0;
        let mut used = Vec::new();
        for step in 0..400 {
            used.push(taken(&spares, (step * 37 % 11 + 1) * MIB / 8));
            let bytes = |used: &[Spilled]| used.iter().map(|spilled| spilled.length).sum::<usize>();
            peak = peak.max(bytes(&used));
            // What is used again may be an eighth larger than was asked.
            assert!(bytes(&used) + total(&spares.0.lock()) <= peak + peak / 8, "step {step}");
            if used.len() > step % 7 {
                spares.give_back(used.remove(step % used.len()));
            }
        }
        spares.clear();
        assert_eq!(total(&spares.0.lock()), 0);
    }

    #[test]
    fn no_more_is_kept_than_is_said() {
        let spares = Spares::default();
        let several: Vec<_> = (0..5).map(|_| taken(&spares, KEPT / 4)).collect();
        several.into_iter().for_each(|spilled| spares.give_back(spilled));
        assert_eq!(total(&spares.0.lock()), KEPT);
        spares.give_back(taken(&spares, KEPT + MIB));
        assert_eq!(total(&spares.0.lock()), 0, "larger than all that is kept");
    }

    #[test]
    fn the_heap_serves_what_is_small() {
        let spares = Spares::default();
        let small = taken(&spares, 1000);
        assert_eq!(small.as_slice(), [0; 1000]);
        spares.give_back(small);
        assert_eq!(total(&spares.0.lock()), 0);
    }
}
