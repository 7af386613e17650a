//! `replay --report`: the picture of a replay, one page that is complete in itself and asks no network for anything.
//!
//! ```text
//!   manager ──events──▶ Recorder ──▶ Columns (what happened, in up to 600 stretches of the replay)
//!   replay ──steps,──▶    │     ──▶ Raster (who lay where at the end of each stretch)
//!            refusals     │     ──▶ Hindsight (which uploads could have been spared)
//!                         ▼     ──▶ Refusals (the reasons, counted)
//!                      Picture ──as JSON──▶ page (HTML, its style and its script, all in one file)
//! ```
//! What is kept does not grow with the replay, but for a few words for each weight. Nothing here runs without `--report`.

mod columns;
mod groups;
mod hindsight;
mod raster;
mod recorder;
mod refusals;

mod page;
mod picture;

pub(crate) use page::write;
pub(crate) use picture::{Gathered, Picture};
pub(crate) use recorder::Recorder;
