//! Ahead: what comes next is brought before it is asked for, as far as the policy can tell.
//!
//! ```text
//!   one scan      absent entries whose next use is predicted, the soonest first, up to a number of bytes
//!   one survey    who may leave, the last needed first
//!   one by one    free room, or room made by those who are needed later and rank no higher --> claim --> fill
//!                 neither: the end
//! ```
//!
//! It gives way to everybody: where somebody makes room, or the only victims would be needed sooner, it ends. What it
//! brings is unpinned, and may leave again like anything else.

use crate::arena::Place;
use crate::error::Error;
use crate::inner::Inner;
use crate::manager::VramManager;
use crate::observer::Event;
use crate::place::Want;
use crate::policy::Order;
use crate::room::worth_moving;
use crate::survey::Survey;
use crate::tenant::Tenant;
use crossbeam_epoch as epoch;
use freehold_core::{Bytes, Claim, Entry, HandleKey, Residency, Victim, Victims};
use std::iter::Peekable;

/// A victim must be needed this many times later than what it makes room for: predictions err. On the recorded mix of six
/// models in half its memory, 64 MiB at a time, three loads of four are ahead of their use with 2 as with 4; uploaded are 1.49
/// and 1.48 times what an offline policy uploads, and 1.23 times without prefetches. (With 32 MiB it is 1.39.)
const LATER: u64 = 4;

/// What [`VramManager::prefetch_next`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ahead {
    /// How many entries were brought.
    pub entries: u64,
    /// Their bytes.
    pub bytes: Bytes,
}

/// An absent entry that will be needed.
#[derive(Clone, Copy)]
struct Coming {
    /// In how many ticks.
    next_use: u64,
    id: u64,
    key: HandleKey,
    priority: i32,
    bytes: Bytes,
}

impl VramManager {
    /// Brings what is needed next, the soonest first, as far as [`Policy::PriorityNextUse`] can tell from the uses so far: at
    /// most `limit` bytes. Under other policies, which predict nothing, it does nothing.
    ///
    /// [`Policy::PriorityNextUse`]: crate::Policy::PriorityNextUse
    ///
    /// An entry comes where there is room for it, or where those who leave for it have no higher priority and are needed
    /// later by a margin. So no entry is brought that would push out what is needed first, and with nothing learned
    /// nothing comes. It is done on this thread: call it while a kernel runs, or on a thread of its own.
    ///
    /// **Progress**: it waits for nobody but the sources it calls, one after the other. **Complexity**: a look at every
    /// entry, two where somebody has to leave.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Forked`]. A source that fails ends it; the entry's access asks again and hears why.
    ///
    /// ```
    /// use freehold_cuda::{Allocation, Bytes, HostBytes, Policy, VramManager};
    ///
    /// let manager = VramManager::builder().budget(Bytes(8 * 512)).policy(Policy::PriorityNextUse).build()?;
    /// let layer = |n: u8| Allocation::new(Bytes(512)).source(HostBytes(vec![n; 512].into()));
    /// let layers = (0..4).map(|n| manager.register(layer(n))).collect::<Result<Vec<_>, _>>()?;
    /// for layer in layers.iter().chain(&layers).chain(&layers[..2]) {
    ///     layer.access()?; // twice through, and two layers into the third round
    /// }
    /// manager.evict_for_space(Bytes(8 * 512))?;
    ///
    /// let ahead = manager.prefetch_next(Bytes(512))?;
    /// assert_eq!(ahead.bytes, Bytes(512));
    /// assert!(layers[2].is_resident(), "the third comes next");
    /// # Ok::<(), freehold_cuda::Error>(())
    /// ```
    pub fn prefetch_next(&self, limit: Bytes) -> Result<Ahead, Error> {
        self.inner().check_open()?;
        Ok(self.inner().bring_what_comes(limit))
    }
}

/// Who may leave for what comes: one survey serves them all.
#[derive(Default)]
struct Room {
    survey: Option<(Survey, Peekable<Victims<64, Order>>)>,
    told: Vec<Event>,
}

impl Inner {
    pub(crate) fn bring_what_comes(&self, limit: Bytes) -> Ahead {
        let (mut ahead, mut room) = (Ahead::default(), Room::default());
        for coming in self.coming(limit) {
            match self.bring_ahead(&coming, &mut room) {
                Some(brought) => ahead.note(brought),
                None => break,
            }
        }
        self.tell(&room.told);
        ahead
    }

    /// The absent entries that are needed soonest, of `limit` bytes at most.
    fn coming(&self, limit: Bytes) -> Vec<Coming> {
        let (guard, now) = (epoch::pin(), self.tick());
        let mut coming: Vec<Coming> = self.table.iter(&guard).filter_map(|entry| Coming::of(entry, now)).collect();
        coming.sort_unstable_by_key(|coming| (coming.next_use, coming.id));
        let mut sum = 0_u64;
        let within = coming.iter().take_while(|coming| {
            sum = sum.saturating_add(coming.bytes.get());
            sum <= limit.get()
        });
        let count = within.count();
        coming.truncate(count);
        coming
    }

    /// Brings one entry, if there is room for it, and says how many bytes came; `None` is the end.
    fn bring_ahead(&self, coming: &Coming, room: &mut Room) -> Option<Bytes> {
        let Some(tenancy) = self.table.get(coming.key, &epoch::pin()).and_then(|entry| entry.payload().owner()) else {
            return Some(Bytes::ZERO); // released meanwhile
        };
        let want = Want::of(self, tenancy.entry());
        let place = self.try_place(&want).or_else(|| self.make_room_ahead(&want, coming, room))?;
        match tenancy.entry().residency().begin_materialise() {
            Claim::Won => self.bring_to(&tenancy, place).ok().map(|()| coming.bytes),
            _ => {
                self.unplace(&want, place); // somebody else was first
                self.ring();
                Some(Bytes::ZERO)
            }
        }
    }

    /// A block for `want`, by evicting those only who are needed later; `None` where somebody else is making room.
    fn make_room_ahead(&self, want: &Want<'_>, coming: &Coming, room: &mut Room) -> Option<Place> {
        let _turn = self.room.try_lock()?;
        let (survey, victims) = room.survey.get_or_insert_with(|| {
            let survey = Survey::take(self, None, i32::MAX);
            let victims = survey.victims.clone().peekable();
            (survey, victims)
        });
        survey.outdate(); // what came since has a block
        let gives_way = |victim: &Victim<Order>| {
            victim.rank.priority <= coming.priority && victim.rank.next_use() / LATER > coming.next_use
        };
        let given: u64 = victims.clone().take_while(gives_way).map(|victim| victim.bytes.get()).sum();
        let short = (self.traffic.budget.used() + want.bytes).get().saturating_sub(self.traffic.budget.limit().get());
        if given < short {
            return None; // as E1: nobody leaves for what does not come
        }
        // Bounded by the victims.
        loop {
            let next = victims.peek().filter(|victim| gives_way(victim)).map_or(want.bytes, |victim| victim.bytes);
            if let Some(place) = self.place_or_move(want, survey, &mut room.told, worth_moving(next)) {
                return Some(place);
            }
            let victim = victims.next_if(gives_way)?;
            if self.evict(&victim, want, &mut room.told, &mut Vec::new()) {
                survey.left(victim.key);
            }
        }
    }
}

impl Coming {
    /// An entry whose turn is still to come. What was used once so far has no turn that we know of.
    fn of(entry: &Entry<Tenant>, now: u64) -> Option<Coming> {
        let (tenant, state) = (entry.payload(), entry.residency().snapshot());
        if state.residency() != Residency::Absent || state.is_released() || tenant.bytes == Bytes::ZERO {
            return None;
        }
        let next_use = tenant.plugin.rhythm()?.next_use(tenant.beat.get()?, now)?;
        Some(Coming { next_use, id: entry.id(), key: entry.key(), priority: entry.priority(), bytes: tenant.bytes })
    }
}

impl Ahead {
    fn note(&mut self, brought: Bytes) {
        self.entries += u64::from(brought > Bytes::ZERO);
        self.bytes = self.bytes + brought;
    }
}
