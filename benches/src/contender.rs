//! What a contender is: something that hands out ranges of an arena, to one thread or to several.
//!
//! An [`Allocator`] is one thread's face of it; a [`Contender`] gives each thread one. A peer that knows no threads is an
//! `Allocator` only: [`Alone`] measures it bare, on one thread; [`Locked`] behind a `parking_lot` mutex, on any number.

use std::cell::{RefCell, RefMut};

use parking_lot::Mutex;

/// The arena that everybody divides.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its bytes.
    pub arena: u64,
    /// The smallest unit; contenders that have none of their own count in it.
    pub granule: u64,
}

impl Shape {
    /// An arena of 1 GiB.
    pub const fn gib(granule: u64) -> Shape {
        Shape { arena: 1 << 30, granule }
    }

    /// `bytes` in granules, rounded up, as most peers want it.
    pub fn granules(self, bytes: u64) -> u64 {
        bytes.div_ceil(self.granule)
    }
}

/// One thread's face of a contender.
pub trait Allocator {
    /// What it hands out.
    type Block: Send;

    /// At least `bytes` bytes, or a refusal.
    fn allocate(&mut self, bytes: u64) -> Option<Self::Block>;

    /// Gives a block back.
    fn free(&mut self, block: Self::Block);

    /// Where a block begins, in bytes from the arena's start; `None` where a floor hands out nothing.
    fn offset(&self, block: &Self::Block) -> Option<u64>;
}

/// Something that is measured.
pub trait Contender: Sized {
    /// What it hands out.
    type Block: Send;

    /// One thread's face of it.
    type Seat<'a>: Allocator<Block = Self::Block>
    where
        Self: 'a;

    /// As the tables name it.
    const NAME: &str;

    /// An empty arena.
    fn new(shape: Shape) -> Self;

    /// The face for the `thread`th thread.
    fn seat(&self, thread: usize) -> Self::Seat<'_>;
}

/// An allocator for one thread, with a name.
pub trait Peer: Allocator + Sized {
    /// As the tables name it bare.
    const NAME: &str;
    /// As the tables name it behind a mutex.
    const LOCKED: &str;

    /// An empty arena.
    fn new(shape: Shape) -> Self;
}

/// A peer without a lock, for one thread.
#[derive(Debug)]
pub struct Alone<T>(RefCell<T>);

/// A peer behind a mutex.
#[derive(Debug)]
pub struct Locked<T>(Mutex<T>);

impl<T: Peer> Contender for Alone<T> {
    type Block = T::Block;
    type Seat<'a>
        = RefMut<'a, T>
    where
        T: 'a;
    const NAME: &str = T::NAME;

    fn new(shape: Shape) -> Self {
        Alone(RefCell::new(T::new(shape)))
    }

    /// Borrowed once for all that the seat does: nothing is paid for it later.
    fn seat(&self, _: usize) -> RefMut<'_, T> {
        self.0.borrow_mut()
    }
}

impl<T: Peer> Contender for Locked<T> {
    type Block = T::Block;
    type Seat<'a>
        = &'a Mutex<T>
    where
        T: 'a;
    const NAME: &str = T::LOCKED;

    fn new(shape: Shape) -> Self {
        Locked(Mutex::new(T::new(shape)))
    }

    fn seat(&self, _: usize) -> &Mutex<T> {
        &self.0
    }
}

impl<T: Allocator> Allocator for RefMut<'_, T> {
    type Block = T::Block;

    #[inline]
    fn allocate(&mut self, bytes: u64) -> Option<T::Block> {
        (**self).allocate(bytes)
    }

    #[inline]
    fn free(&mut self, block: T::Block) {
        (**self).free(block);
    }

    fn offset(&self, block: &T::Block) -> Option<u64> {
        (**self).offset(block)
    }
}

impl<T: Allocator> Allocator for &Mutex<T> {
    type Block = T::Block;

    #[inline]
    fn allocate(&mut self, bytes: u64) -> Option<T::Block> {
        self.lock().allocate(bytes)
    }

    #[inline]
    fn free(&mut self, block: T::Block) {
        self.lock().free(block);
    }

    fn offset(&self, block: &T::Block) -> Option<u64> {
        self.lock().offset(block)
    }
}
