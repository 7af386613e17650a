//! Copies between ordinary memory and the card, through staging.
//!
//! A card copies asynchronously from pinned memory only. Large copies go piece by piece, so that one piece is on its way
//! while the next is being filled; and a very large one is filled by several threads, because one processor copies at a
//! fraction of a card's rate.
#![allow(unsafe_code, reason = "copies: G1 and G2 of staging")]

use super::library::refused;
use super::staging::{STAGE_BYTES, Stage, Staging};
use super::streams::{IN, OUT};
use crate::memory::{Address, DeviceError};
use cudarc::driver::result::{self, DriverError};
use std::sync::OnceLock;
use std::thread::{self, Builder};

/// How many threads fill buffers for one copy, and how much each is given at least: to start one takes as long as to copy some
/// hundred KiB.
pub(super) const MOST_LANES: usize = 4;
const LANE_BYTES: usize = 16 << 20;

impl Staging {
    /// Copies to the card, on the stream for bytes that come in; `from` has been read when this returns, and the bytes are
    /// there when that stream has come so far.
    ///
    /// # Safety
    /// `to` and the bytes behind it lie in one live region, and nobody touches them who is not ordered with the stream.
    pub(super) unsafe fn copy_in(&self, to: Address, from: &[u8]) -> Result<(), DeviceError> {
        let lanes = lanes(from.len());
        thread::scope(|scope| {
            // SAFETY: the caller's promise, passed on; no two lanes have a piece in common.
            let lane = move |lane| unsafe { self.copy_lane(to, from, lane, lanes) };
            let start = |other| (other, Builder::new().spawn_scoped(scope, move || lane(other)).ok());
            let others: Vec<_> = (1..lanes).map(start).collect();
            let own = lane(0);
            others.into_iter().fold(own, |all, (other, thread)| {
                // Where the system had no thread for it, its pieces are copied here.
                let done = thread.map_or_else(|| lane(other), |thread| thread.join().expect("a lane only copies"));
                all.and(done)
            })
        })
    }

    /// Copies every piece that is `lane`'s turn.
    ///
    /// # Safety
    /// As `copy_in`, for these pieces.
    unsafe fn copy_lane(&self, to: Address, from: &[u8], lane: usize, lanes: usize) -> Result<(), DeviceError> {
        let starts = (0_u64..).step_by(STAGE_BYTES);
        from.chunks(STAGE_BYTES).zip(starts).skip(lane).step_by(lanes).try_for_each(|(piece, start)| {
            let filled = self.context.bind().and_then(|_bound| {
                let mut stage = self.take()?;
                stage.bytes()[..piece.len()].copy_from_slice(piece);
                // SAFETY: the caller's promise for the target; G2: nobody fills the buffer before the event has passed.
                let given = unsafe {
                    result::memcpy_htod_async(to.0 + start, &stage.bytes()[..piece.len()], self.streams.own(IN))
                };
                self.follow(stage, IN, given)
            });
            filled.map_err(|error| refused(format_args!("copy {} bytes to the card", from.len()), error))
        })
    }

    /// Copies from the card, on the stream for bytes that go out; complete on return. While one piece is taken out of its
    /// buffer, the next is on its way.
    ///
    /// # Safety
    /// `from` and the bytes behind it lie in one live region, and nobody writes them who is not ordered with the stream.
    pub(super) unsafe fn copy_out(&self, to: &mut [u8], from: Address) -> Result<(), DeviceError> {
        let action = format!("copy {} bytes from the card", to.len());
        let mut on_its_way: Option<(Stage, &mut [u8])> = None;
        let starts = (0_u64..).step_by(STAGE_BYTES);
        let bound = self.context.bind().map_err(|error| refused(&action, error))?;
        let mut result = to.chunks_mut(STAGE_BYTES).zip(starts).try_for_each(|(piece, start)| {
            let mut stage = match self.take_idle()? {
                Some(stage) => stage,
                None => {
                    // All are lent. Ours comes back first: nobody holds one stage while he waits for another.
                    on_its_way.take().map_or(Ok(()), |(stage, piece)| self.take_out(stage, piece))?;
                    self.take()?
                }
            };
            // SAFETY: the caller's promise for the source; G2: nobody reads the buffer before the event has passed.
            let given = unsafe {
                result::memcpy_dtoh_async(&mut stage.bytes()[..piece.len()], from.0 + start, self.streams.own(OUT))
            };
            let recorded = given.and_then(|()| self.streams.record(&stage.event, OUT));
            if recorded.is_err() {
                return self.follow(stage, OUT, recorded);
            }
            stage.in_use = true;
            on_its_way.replace((stage, piece)).map_or(Ok(()), |(stage, piece)| self.take_out(stage, piece))
        });
        if let Some((stage, piece)) = on_its_way {
            let last = self.take_out(stage, piece);
            result = result.and(last);
        }
        drop(bound);
        result.map_err(|error| refused(action, error))
    }

    /// Waits for a stage's copy, takes its bytes, and gives the stage back.
    fn take_out(&self, mut stage: Stage, to: &mut [u8]) -> Result<(), DriverError> {
        let finished = self.streams.finish(&stage.event);
        if finished.is_ok() {
            stage.in_use = false;
            to.copy_from_slice(&stage.bytes()[..to.len()]);
        }
        self.put_back(stage);
        finished
    }
}

/// How many threads are to fill buffers for a copy of so many bytes.
fn lanes(bytes: usize) -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let processors = *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from));
    (bytes / LANE_BYTES).clamp(1, MOST_LANES.min(processors))
}
