//! What the measurements share: the contenders behind one small trait, the work they are given, and the rounds in which they
//! take turns.

#![allow(missing_debug_implementations)] // Several peers have none, and nobody prints a contender.

// Who is measured.
pub mod contender;
pub mod floors;
pub mod freehold;
pub mod peers;

// What they are given to do.
pub mod random;
pub mod shadow;
pub mod trace;
pub mod workload;

// How it is told.
pub mod report;
pub mod rounds;
mod stopwatch;
mod together;
