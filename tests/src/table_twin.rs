//! The naive handle table: a vector of everything that was ever inserted, searched from the front.

use freehold_core::table::HandleKey;

/// One entry that was ever inserted.
#[derive(Clone, Debug)]
pub struct TwinEntry {
    /// What the real table named it.
    pub key: HandleKey,
    /// What was put in.
    pub payload: u32,
    /// Whether it is still there.
    pub live: bool,
}

/// Remembers every entry for ever, so that a name given twice is seen.
#[derive(Clone, Debug, Default)]
pub struct TableTwin {
    /// In the order of insertion: the place of an entry is its id.
    pub entries: Vec<TwinEntry>,
}

impl TableTwin {
    /// Notes an insertion under the real table's key. False: that key was given out before.
    #[must_use]
    pub fn insert(&mut self, key: HandleKey, payload: u32) -> bool {
        let new = self.entries.iter().all(|entry| entry.key != key);
        self.entries.push(TwinEntry { key, payload, live: true });
        new
    }

    /// Notes that an entry was retired.
    pub fn retire(&mut self, key: HandleKey) {
        self.entries.iter_mut().filter(|entry| entry.key == key).for_each(|entry| entry.live = false);
    }

    /// What a lookup must find.
    #[must_use]
    pub fn get(&self, key: HandleKey) -> Option<u32> {
        self.live().find(|(_, entry)| entry.key == key).map(|(_, entry)| entry.payload)
    }

    /// What a scan must meet, with ids.
    pub fn live(&self) -> impl Iterator<Item = (u64, &TwinEntry)> {
        (0..).zip(&self.entries).filter(|(_, entry)| entry.live)
    }
}
