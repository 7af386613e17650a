//! What is done to the books, by whoever has the turn. Each operation is a few stores of which one decides; the rest is said
//! again by [`Segment::recount`] if its author dies before he has said it.
//!
//! | operation | the deciding store |
//! | --- | --- |
//! | take, give, claim | the process's own `leased`: if it dies, all of it is given back anyway |
//! | grant | the seat's state, waiting to granted: from then on the bytes count as leased |
//! | bury | none: it can be repeated until the cell is no longer in use, which is stored last |

use std::sync::atomic::Ordering::{Relaxed, Release};

use freehold_core::{AcquireError, Bytes};
use rustix::thread::futex;

use super::Turn;
use super::error::SharedPoolError;
use super::segment::{CELLS, FREE, GRANTED, Seat, Segment, WAITING};

// Relaxed throughout: the file lock orders all operations, and the kernel's locks are ordered by the kernel.
impl Segment {
    /// Bytes in cells and in granted seats.
    pub(super) fn leased(&self) -> u64 {
        let books = self.books();
        let cells = books.cells.iter().map(|cell| cell.leased.load(Relaxed));
        let granted = books.seats.iter().filter(|seat| seat.is(GRANTED)).map(|seat| seat.bytes.load(Relaxed));
        cells.chain(granted).fold(0, u64::saturating_add)
    }

    /// What follows from the rest.
    pub(super) fn recount(&self) {
        let books = self.books();
        books.free.store(self.total().saturating_sub(self.leased()), Relaxed);
        books.waiting.store(books.seats.iter().filter(|seat| seat.is(WAITING)).count() as u64, Relaxed);
    }

    /// Gives back what processes had that live no more, and serves. Idempotent.
    pub(super) fn bury(&self) -> Result<(), SharedPoolError> {
        let mut buried = false;
        for index in 0..CELLS {
            let unknown = self.books().cells[index].in_use.load(Relaxed) != 0 && !self.is_own_cell(index);
            if unknown && self.inhabitant(index)?.is_none() {
                self.empty_cell(index);
                buried = true;
            }
        }
        if buried {
            self.recount();
            self.serve();
        }
        Ok(())
    }

    /// Seats first and `in_use` last: a cell that looks free has nothing any more.
    pub(super) fn empty_cell(&self, index: usize) {
        let books = self.books();
        let theirs = |seat: &&Seat| seat.cell.load(Relaxed) == index as u32;
        books.seats.iter().filter(theirs).for_each(|seat| seat.state.store(FREE, Relaxed));
        books.cells[index].leased.store(0, Relaxed);
        books.cells[index].in_use.store(0, Relaxed);
        self.recount();
    }

    /// In order of arrival while the bytes last. Bounded by the seats.
    pub(super) fn serve(&self) {
        let books = self.books();
        while books.waiting.load(Relaxed) > 0 {
            let waiting = books.seats.iter().filter(|seat| seat.is(WAITING));
            let Some(first) = waiting.min_by_key(|seat| seat.ticket.load(Relaxed)) else { return };
            let Some(left) = books.free.load(Relaxed).checked_sub(first.bytes.load(Relaxed)) else { return };
            // Release: pairs with the Acquire of its sleeper, who looks without the file lock.
            first.state.store(GRANTED, Release);
            books.free.store(left, Relaxed);
            books.waiting.fetch_sub(1, Relaxed);
            // Nobody may sleep there yet, or any more: then there is nobody to wake.
            let _ = futex::wake(&first.state, futex::Flags::empty(), 1);
        }
    }
}

impl Seat {
    fn is(&self, state: u32) -> bool {
        self.state.load(Relaxed) == state
    }
}

impl Turn<'_> {
    pub(super) fn free(&self) -> u64 {
        self.member.segment.books().free.load(Relaxed)
    }

    pub(super) fn waiting(&self) -> u64 {
        self.member.segment.books().waiting.load(Relaxed)
    }

    pub(super) fn bury_the_dead(&self) -> Result<(), SharedPoolError> {
        self.member.segment.bury()
    }

    /// Takes the bytes if it is our turn; where it is not, it may be that of the dead.
    pub(super) fn take_or_bury(&self, bytes: Bytes) -> Result<bool, SharedPoolError> {
        let total = Bytes(self.member.segment.total());
        if bytes > total {
            return Err(AcquireError::TooLarge { requested: bytes, total }.into());
        }
        if self.take(bytes) {
            return Ok(true);
        }
        self.bury_the_dead()?;
        Ok(self.take(bytes))
    }

    fn take(&self, bytes: Bytes) -> bool {
        let books = self.member.segment.books();
        if bytes == Bytes::ZERO {
            return true;
        }
        if self.waiting() > 0 || self.free() < bytes.get() {
            return false;
        }
        books.cells[self.member.cell].leased.fetch_add(bytes.get(), Relaxed);
        books.free.fetch_sub(bytes.get(), Relaxed);
        true
    }

    pub(super) fn give(&self, bytes: Bytes) {
        let segment = &self.member.segment;
        segment.books().cells[self.member.cell].leased.fetch_sub(bytes.get(), Relaxed);
        segment.books().free.fetch_add(bytes.get(), Relaxed);
        segment.serve();
    }

    /// Queues. The state is stored last, when the seat says whose it is.
    pub(super) fn sit_down(&self, bytes: Bytes) -> Result<usize, SharedPoolError> {
        let books = self.member.segment.books();
        let free = books.seats.iter().position(|seat| seat.is(FREE));
        let index = free.ok_or(SharedPoolError::NoSeat { waiting: books.seats.len() })?;
        let seat = &books.seats[index];
        seat.cell.store(self.member.cell as u32, Relaxed);
        seat.bytes.store(bytes.get(), Relaxed);
        seat.ticket.store(books.tickets.fetch_add(1, Relaxed), Relaxed);
        seat.state.store(WAITING, Relaxed);
        books.waiting.fetch_add(1, Relaxed);
        Ok(index)
    }

    /// Leaves the seat, with the bytes if they were granted; otherwise the turn passes on.
    pub(super) fn stand_up(&self, index: usize) -> bool {
        let segment = &self.member.segment;
        let (books, seat) = (segment.books(), &segment.books().seats[index]);
        let granted = seat.is(GRANTED);
        if granted {
            books.cells[self.member.cell].leased.fetch_add(seat.bytes.load(Relaxed), Relaxed);
        } else {
            books.waiting.fetch_sub(1, Relaxed);
        }
        seat.state.store(FREE, Relaxed);
        if !granted {
            segment.serve();
        }
        granted
    }
}
