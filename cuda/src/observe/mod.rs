//! Observe: what a person, a dashboard or a tool can learn of a manager, and in whose words.
//!
//! | file | answers |
//! | --- | --- |
//! | `refusal`, `advice` | why was this refused, and what to try |

pub(crate) mod refusal;

mod advice;

pub use refusal::{Advice, EvictableAt, Holder, Refusal, Why};
