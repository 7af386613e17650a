//! The naive twin of the manager: a list of entries of one granule each, a limit, and a scan for the smallest rank.
//!
//! One granule each, so that placement cannot matter and the victims of twin and manager must agree exactly.

/// What the twin knows of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Lower leaves first.
    pub priority: i32,
    /// The tick of the latest use.
    pub last_use: u64,
    /// Never evicted.
    pub fixed: bool,
    /// Whether it has its granule.
    pub resident: bool,
    /// How many use it now.
    pub pins: u32,
    /// Whether its owner has let go.
    pub released: bool,
}

/// Why the twin refuses: free, evictable and pinned granules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No room, even with everyone gone.
    Full {
        /// Free granules.
        free: u64,
        /// Granules of those who could leave.
        evictable: u64,
        /// Granules of those who could not.
        pinned: u64,
    },
    /// The owner has let go.
    Released,
}

/// Entries in the order of their ids, and what may be resident.
#[derive(Debug)]
pub struct Twin {
    /// All that were ever made, refused ones left out.
    pub entries: Vec<Known>,
    /// Granules that may be resident.
    pub limit: u64,
    /// Whether who ranks higher than the one who asks stays.
    pub floored: bool,
    /// Who left since this was last emptied, by place in `entries`.
    pub left: Vec<usize>,
    /// How often anything was brought.
    pub loads: u64,
    /// How often a request found no room.
    pub refusals: u64,
}

impl Twin {
    /// Nobody yet.
    #[must_use]
    pub fn new(limit: u64, floored: bool) -> Twin {
        Twin { entries: Vec::new(), limit, floored, left: Vec::new(), loads: 0, refusals: 0 }
    }

    /// Granules in use.
    #[must_use]
    pub fn resident(&self) -> u64 {
        self.entries.iter().filter(|known| known.resident).count() as u64
    }

    /// Those who may leave, first to last.
    #[must_use]
    pub fn order(&self) -> Vec<usize> {
        let evictable = |known: &Known| known.resident && known.pins == 0 && !known.fixed && !known.released;
        let mut order: Vec<usize> = (0..self.entries.len()).filter(|&at| evictable(&self.entries[at])).collect();
        order.sort_by_key(|&at| (self.entries[at].priority, self.entries[at].last_use, at));
        order
    }

    /// An entry that is loaded at once, if there is room.
    ///
    /// # Errors
    /// As the manager's.
    pub fn allocate(&mut self, priority: i32, tick: u64, fixed: bool, sourced: bool) -> Result<(), Refusal> {
        self.ask(1, priority)?;
        self.loads += u64::from(sourced);
        self.entries.push(Known { priority, last_use: tick, fixed, resident: true, pins: 0, released: false });
        Ok(())
    }

    /// An entry that comes when it is used.
    pub fn register(&mut self, priority: i32, tick: u64) {
        let known = Known { priority, last_use: tick, fixed: false, resident: false, pins: 0, released: false };
        self.entries.push(known);
    }

    /// A use, with a pin that stays.
    ///
    /// # Errors
    /// As the manager's.
    pub fn pin(&mut self, at: usize, tick: u64) -> Result<(), Refusal> {
        if self.entries[at].released {
            return Err(Refusal::Released);
        }
        if !self.entries[at].resident {
            self.ask(1, self.entries[at].priority)?;
            self.loads += 1;
        }
        let known = &mut self.entries[at];
        (known.resident, known.last_use, known.pins) = (true, tick, known.pins + 1);
        Ok(())
    }

    /// The end of a pin.
    pub fn unpin(&mut self, at: usize) {
        let known = &mut self.entries[at];
        known.pins -= 1;
        known.resident &= !(known.released && known.pins == 0);
    }

    /// The owner lets go.
    pub fn release(&mut self, at: usize) {
        let known = &mut self.entries[at];
        known.released = true;
        known.resident &= known.pins > 0;
    }

    /// Another limit; those who must leave for it leave.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
        while self.resident() > limit && self.evict_one() {}
    }

    /// As `make_room`, for a request of this priority.
    fn ask(&mut self, granules: u64, priority: i32) -> Result<(), Refusal> {
        self.make_room_below(granules, if self.floored { priority } else { i32::MAX })
    }

    /// Evicts until `granules` are free.
    ///
    /// # Errors
    /// As the manager's; nobody left then.
    pub fn make_room(&mut self, granules: u64) -> Result<(), Refusal> {
        self.make_room_below(granules, i32::MAX)
    }

    /// In the order of leaving those of at most `ceiling` come first.
    fn make_room_below(&mut self, granules: u64, ceiling: i32) -> Result<(), Refusal> {
        let may_leave = |at: &usize| self.entries[*at].priority <= ceiling;
        let (resident, evictable) = (self.resident(), self.order().into_iter().filter(may_leave).count() as u64);
        let free = self.limit.saturating_sub(resident);
        if (resident - evictable) + granules > self.limit {
            self.refusals += 1;
            return Err(Refusal::Full { free, evictable, pinned: resident - evictable });
        }
        while self.resident() + granules > self.limit {
            assert!(self.evict_one());
        }
        Ok(())
    }

    fn evict_one(&mut self) -> bool {
        let Some(&first) = self.order().first() else { return false };
        self.entries[first].resident = false;
        self.left.push(first);
        true
    }
}
