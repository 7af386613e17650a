//! A CUDA driver in which nothing is computed and everything is watched: for tests of stream order, lifetimes and
//! failures, on machines without a card. The README says what it models and what it does not.
//!
//! ```text
//!   abi/        cu*  : the calls, under their real names  --+
//!   control.rs  sim_*: what a test sets and reads         --+--> state.rs: one world behind one mutex
//!                                                                   |
//!        work.rs (what a stream is given: checked, ordered, noted)   stream.rs (queues, and what runs when)   kernels.rs
//!        memory.rs (who owns which bytes)   clock.rs (what is ordered before what)   shadow.rs (who touched which bytes)   report.rs
//! ```

mod abi;
mod clock;
mod control;
mod kernels;
mod memory;
mod report;
mod shadow;
mod state;
mod stream;
mod work;
