//! Resize: the budget changes while plugins hold handles, and regions go back to the device.

use crate::budget::Budget;
use crate::error::Error;
use crate::inner::Inner;
use crate::manager::VramManager;
use crate::place::Want;
use crate::room::Candidate;
use crate::survey::Survey;
use freehold_core::Bytes;
use std::sync::Arc;

/// What a change of the budget came to (E3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetChange {
    /// Who was evicted for it, in the order of leaving.
    pub evicted: Vec<Candidate>,
    /// What is still charged above the new budget, because it is pinned, fixed or set aside. It is not freed; it goes as
    /// its owners let go, and nothing new is admitted before.
    pub excess: Bytes,
}

/// Part of the card, lent to somebody outside. Dropping it gives the bytes back to the manager's budget (E4).
#[derive(Debug)]
pub struct Handover {
    inner: Arc<Inner>,
    bytes: Bytes,
    /// What the lending came to.
    pub change: BudgetChange,
}

impl VramManager {
    /// Changes the bytes that may be resident at once, in whole granules. Lowering evicts in order until the rest fits and
    /// gives empty regions back to the device; raising lets arenas grow as they are needed.
    ///
    /// # Errors
    /// The device's, where it refuses to take a region back.
    pub fn set_budget(&self, bytes: Bytes) -> Result<BudgetChange, Error> {
        let inner = self.inner();
        inner.check_process()?;
        let bytes = Bytes(bytes.get() - bytes.get() % inner.granule.get());
        inner.change_budget(i32::MAX, |budget| budget.set_limit(bytes))
    }

    /// Lends `bytes` of the card (at most all of it) to somebody outside, a training job: evicts what has a priority of at
    /// most `priority` in order until they are free, and gives regions that are then empty back to the device. When the
    /// guard is dropped they are the manager's again.
    ///
    /// What could not be freed is in the guard's [`change`](Handover::change).
    ///
    /// # Errors
    /// The device's, where it refuses to take a region back.
    pub fn handover(&self, bytes: Bytes, priority: i32) -> Result<Handover, Error> {
        let inner = Arc::clone(self.inner());
        inner.check_process()?;
        let bytes = inner.reserved(bytes).min(inner.traffic.budget.limit());
        // The guard first: where a region cannot be given back, dropping it takes the bytes back.
        inner.traffic.budget.lend(bytes);
        let mut handover = Handover { inner, bytes, change: BudgetChange::default() };
        handover.change = handover.inner.change_budget(priority, |_| {})?;
        Ok(handover)
    }

    /// Gives every region in which nobody has a block back to the device, and says how many bytes went (E6). They come
    /// back as they are needed.
    ///
    /// # Errors
    /// The device's, where it refuses to take a region back.
    pub fn trim(&self) -> Result<Bytes, Error> {
        self.inner().check_process()?;
        let _turn = self.inner().room.lock();
        self.inner().spill.trim();
        Ok(self.inner().arenas.trim()?)
    }
}

impl Handover {
    /// The bytes lent.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.bytes
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        if !self.inner.is_ours() {
            return;
        }
        let _turn = self.inner.room.lock();
        self.inner.traffic.budget.take_back(self.bytes);
        self.inner.ring();
    }
}

impl Inner {
    /// Sets a new limit, evicts down to it what has a priority of at most `ceiling`, and trims.
    fn change_budget(&self, ceiling: i32, change: impl FnOnce(&Budget)) -> Result<BudgetChange, Error> {
        let mut told = Vec::new();
        let turn = self.room.lock();
        change(&self.traffic.budget);
        let evicted = self.evict_down(ceiling, &mut told);
        let trimmed = self.arenas.trim();
        let excess = self.excess();
        drop(turn);
        self.tell(&told);
        self.ring();
        trimmed?;
        Ok(BudgetChange { evicted, excess })
    }

    /// What is charged above the limit.
    fn excess(&self) -> Bytes {
        Bytes(self.traffic.budget.used().get().saturating_sub(self.traffic.budget.limit().get()))
    }

    /// Evicts in order while more is charged than the limit. Each turn of the loop evicts somebody, or ends it.
    fn evict_down(&self, ceiling: i32, told: &mut Vec<crate::Event>) -> Vec<Candidate> {
        let mut left = Vec::new();
        loop {
            let before = left.len();
            for victim in Survey::take(self, None, ceiling).victims {
                // Read once: others free meanwhile.
                let excess = self.excess();
                if excess == Bytes::ZERO {
                    return left;
                }
                self.evict(&victim, &Want::unplaced(excess, &self.nobody), told, &mut left);
            }
            if left.len() == before {
                return left;
            }
        }
    }
}
