//! Shared weights: one physical buffer under a key, counted once, held by any number of consumers.
//!
//! The register maps a key to its tenancy and its live consumers. Its lock is taken when a consumer joins, leaves or
//! changes its priority; never on an access, and never around a callback.

use crate::allocation::Allocation;
use crate::error::Error;
use crate::handle::VramHandle;
use crate::inner::Inner;
use crate::tenancy::Tenancy;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

/// All shared weights of one manager by key.
#[derive(Debug, Default)]
pub(crate) struct Register {
    // Weak: the consumers' handles own the tenancy; the register must not outlive the last of them.
    by_key: Mutex<HashMap<Arc<str>, Weak<Tenancy>>>,
}

/// The live consumers of one tenancy: each a number and its priority. Changed only under the register's lock.
#[derive(Debug, Default)]
pub(crate) struct Consumers {
    live: Vec<(u64, i32)>,
    next: u64,
}

/// One consumer's part in shared weights.
#[derive(Debug)]
pub(crate) struct Membership {
    key: Arc<str>,
    consumer: u64,
}

/// A handle, and whether it made the entry that it shares.
struct Joined {
    handle: VramHandle,
    created: bool,
}

/// Joins the weights under `key`, making them where they do not exist; their content is not asked for.
pub(crate) fn register(inner: &Arc<Inner>, key: &str, allocation: &Allocation) -> Result<VramHandle, Error> {
    join(inner, key, allocation).map(|joined| joined.handle)
}

/// Joins the weights under `key` and has them resident. Of several that come at once one loads, the others wait for it
/// (D7). Where the loader that came first fails, whoever waited tries again with a source of its own: each turn of the
/// loop ends another's failed entry or makes one's own, whose failure is final.
pub(crate) fn acquire(inner: &Arc<Inner>, key: &str, allocation: &Allocation) -> Result<VramHandle, Error> {
    loop {
        let Joined { handle, created } = join(inner, key, allocation)?;
        let Err(error) = handle.access().map(drop) else { return Ok(handle) };
        if handle.tenancy().was_loaded() || !is_of_the_source(&error) {
            return Err(error);
        }
        inner.weights.forget(key, handle.tenancy());
        if created {
            return Err(error);
        }
    }
}

/// Whether another's source may do better. A lack of room says nothing against the entry: it stays under its key, one for
/// all (D1).
fn is_of_the_source(error: &Error) -> bool {
    matches!(error, Error::SourceFailed { .. } | Error::SourcePanicked { .. } | Error::SourceLength { .. })
}

fn join(inner: &Arc<Inner>, key: &str, allocation: &Allocation) -> Result<Joined, Error> {
    let mut by_key = inner.weights.by_key.lock();
    let existing =
        by_key.get(key).and_then(Weak::upgrade).filter(|tenancy| !tenancy.consumers().lock().live.is_empty());
    let created = existing.is_none();
    let tenancy = match existing {
        Some(tenancy) => check(key, &tenancy, allocation).map(|()| tenancy)?,
        None => inner.tenancy(allocation.clone())?,
    };
    let key: Arc<str> = Arc::from(key);
    if !created {
        inner.saw_share(tenancy.entry(), allocation.plugin.as_ref());
    }
    if created {
        by_key.insert(Arc::clone(&key), Arc::downgrade(&tenancy));
    }
    let consumer = tenancy.consumers().lock().add(allocation.priority);
    let membership = Membership { key, consumer };
    membership.recompute_priority(&tenancy);
    drop(by_key);
    inner.saw_priority_changed();
    Ok(Joined { handle: VramHandle::new(tenancy, Some(membership)), created })
}

/// D6: what is asked must be what exists.
fn check(key: &str, tenancy: &Tenancy, asked: &Allocation) -> Result<(), Error> {
    let existing = tenancy.tenant();
    if existing.bytes == asked.bytes && existing.metadata == asked.metadata {
        return Ok(());
    }
    let describe = |bytes, metadata: &str| Arc::from(format!("{bytes}, metadata {metadata:?}"));
    Err(Error::SharedMismatch {
        key: Arc::from(key),
        existing: describe(existing.bytes, &existing.metadata),
        asked: describe(asked.bytes, &asked.metadata),
    })
}

impl Register {
    /// Takes an entry whose content never came off its key, so that the next to ask makes a new one (D7: no half
    /// entry). Whoever still waits on it keeps it alive.
    fn forget(&self, key: &str, tenancy: &Tenancy) {
        let mut by_key = self.by_key.lock();
        if by_key.get(key).is_some_and(|listed| std::ptr::eq(listed.as_ptr(), tenancy)) {
            by_key.remove(key);
        }
    }
}

impl Consumers {
    fn add(&mut self, priority: i32) -> u64 {
        let consumer = self.next;
        self.next += 1;
        self.live.push((consumer, priority));
        consumer
    }

    /// D4: the highest of the live consumers'.
    fn priority(&self) -> Option<i32> {
        self.live.iter().map(|&(_, priority)| priority).max()
    }
}

impl Membership {
    /// Ends this consumer's part; says whether it was the last.
    pub(crate) fn leave(&self, tenancy: &Tenancy) -> bool {
        let register = &tenancy.inner().weights;
        let mut by_key = register.by_key.lock();
        tenancy.consumers().lock().live.retain(|&(consumer, _)| consumer != self.consumer);
        let last = !self.recompute_priority(tenancy);
        if last && by_key.get(&self.key).is_some_and(|listed| std::ptr::eq(listed.as_ptr(), tenancy)) {
            by_key.remove(&self.key);
        }
        drop(by_key);
        tenancy.inner().saw_priority_changed();
        last
    }

    /// Changes this consumer's priority, and with it perhaps the entry's.
    pub(crate) fn set_priority(&self, tenancy: &Tenancy, priority: i32) {
        let by_key = tenancy.inner().weights.by_key.lock();
        for consumer in tenancy.consumers().lock().live.iter_mut().filter(|consumer| consumer.0 == self.consumer) {
            consumer.1 = priority;
        }
        self.recompute_priority(tenancy);
        drop(by_key);
        tenancy.inner().saw_priority_changed();
    }

    /// Gives the entry the highest priority of its consumers; says whether there are any.
    fn recompute_priority(&self, tenancy: &Tenancy) -> bool {
        let consumers = tenancy.consumers().lock();
        tenancy.tenant().consumers.store(consumers.live.len() as u32, Relaxed); // Relaxed: for reports
        let priority = consumers.priority();
        drop(consumers);
        priority.inspect(|&priority| tenancy.entry().set_priority(priority)).is_some()
    }
}
