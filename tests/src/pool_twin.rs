//! The admission pool's twin: a counter and a list, looked through from the front each time.

use freehold_core::Fairness;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has its bytes.
    Admitted,
    /// It waits.
    Waiting,
    /// It does not fit now.
    Full,
    /// It never will.
    TooLarge,
    /// The pool is closed.
    Closed,
}

/// The simplest pool that can be right, for one thread.
#[derive(Clone, Debug)]
pub struct PoolTwin {
    /// All bytes.
    pub total: i64,
    /// Bytes that are leased.
    pub leased: i64,
    /// Whether it is closed.
    pub closed: bool,
    fairness: Fairness,
    arrivals: u64,
    /// Due and class, arrival, name, bytes: in the order in which they are served.
    queue: Vec<((u64, u8), u64, usize, i64)>,
}

impl PoolTwin {
    /// An empty pool.
    #[must_use]
    pub fn new(total: u64, fairness: Fairness) -> PoolTwin {
        PoolTwin { total: total as i64, leased: 0, closed: false, fairness, arrivals: 0, queue: Vec::new() }
    }

    /// Bytes that nobody leases.
    #[must_use]
    pub fn available(&self) -> u64 {
        (self.total - self.leased).max(0) as u64
    }

    /// How many wait, and for how many bytes.
    #[must_use]
    pub fn waiting(&self) -> (u64, u64) {
        (self.queue.len() as u64, self.queue.iter().map(|waiter| waiter.3 as u64).sum())
    }

    /// Asks without waiting. Who is admitted past others who wait counts as an arrival.
    pub fn try_acquire(&mut self, bytes: u64, class: u8) -> Answer {
        let past_others = bytes > 0 && !self.queue.is_empty();
        match self.ask(usize::MAX, bytes, class, self.arrivals) {
            Answer::Waiting => {
                self.queue.retain(|waiter| waiter.2 != usize::MAX);
                Answer::Full
            }
            Answer::Admitted if past_others => {
                self.arrivals += 1;
                Answer::Admitted
            }
            answer => answer,
        }
    }

    /// Asks, and waits under the name given.
    pub fn acquire(&mut self, name: usize, bytes: u64, class: u8) -> Answer {
        let bypass = !self.closed && self.queue.is_empty() && self.total - self.leased >= bytes as i64;
        if bytes > 0 && !bypass && bytes as i64 <= self.total {
            self.arrivals += 1;
        }
        self.ask(name, bytes, class, self.arrivals.saturating_sub(1))
    }

    fn ask(&mut self, name: usize, bytes: u64, class: u8, arrival: u64) -> Answer {
        let bytes = bytes as i64;
        if bytes == 0 {
            return Answer::Admitted;
        }
        if bytes > self.total {
            return Answer::TooLarge;
        }
        if self.closed {
            return Answer::Closed;
        }
        let due = match self.fairness {
            Fairness::Priority { ageing } => (arrival + u64::from(255 - class) * u64::from(ageing), 255 - class),
            _ => (arrival, 0),
        };
        self.queue.push((due, arrival, name, bytes));
        self.queue.sort_by_key(|waiter| (waiter.0, waiter.1));
        self.serve();
        if self.is_waiting(name) { Answer::Waiting } else { Answer::Admitted }
    }

    /// Whether this name still waits.
    #[must_use]
    pub fn is_waiting(&self, name: usize) -> bool {
        self.queue.iter().any(|waiter| waiter.2 == name)
    }

    /// What a waiter learns when it asks again; one that is refused leaves.
    pub fn poll(&mut self, name: usize, bytes: u64) -> Answer {
        let answer = match self.is_waiting(name) {
            false => return Answer::Admitted,
            true if self.closed => Answer::Closed,
            true if bytes as i64 > self.total => Answer::TooLarge,
            true => return Answer::Waiting,
        };
        self.leave(name);
        answer
    }

    /// A waiter gives up; if it was served already the bytes come back.
    pub fn cancel(&mut self, name: usize, bytes: u64) {
        if self.is_waiting(name) { self.leave(name) } else { self.release(bytes) }
    }

    fn leave(&mut self, name: usize) {
        self.queue.retain(|waiter| waiter.2 != name);
        self.serve();
    }

    /// Bytes come back.
    pub fn release(&mut self, bytes: u64) {
        self.leased -= bytes as i64;
        self.serve();
    }

    /// The total changes.
    pub fn set_total(&mut self, total: u64) {
        self.total = total as i64;
        self.serve();
    }

    fn serve(&mut self) {
        let mut rest = Vec::new();
        let mut blocked = self.closed;
        for waiter in std::mem::take(&mut self.queue) {
            let hopeless = waiter.3 > self.total;
            if !blocked && !hopeless && self.leased + waiter.3 <= self.total {
                self.leased += waiter.3;
                continue;
            }
            blocked |= !hopeless && self.fairness != Fairness::Barging;
            rest.push(waiter);
        }
        self.queue = rest;
    }
}
