//! One record of the log: what happened, in seven words. Text travels in records of its own, right behind the one that it names.

use freehold_core::ring::Record;

/// What happened, and in which words the numbers stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Op {
    /// A piece of an entry's label: five words of text.
    Name = 0,
    /// An entry that may leave became known.
    Load,
    /// A further consumer of shared weights.
    Share,
    /// It is used, or is to be there at once.
    Access,
    /// It ended.
    Unload,
    /// An entry that never leaves begins, and ends.
    Alloc,
    Free,
    /// The same within a reservation.
    Acquire,
    Release,
    /// Its bytes were brought. `rest`: its priority.
    Loaded,
    /// It left for somebody. `address`: the priority, and who needs it; `rest`: the bytes needed.
    Evicted,
    /// Memory was given to it: the address, and the bytes in whole granules.
    Placed,
    /// The mirror.
    Left,
    /// Its memory is elsewhere now: from the address to that in `rest`.
    Moved,
    /// A request found no room. `rest`: the bytes free then.
    Refused,
    /// A region came from the device, or went back.
    RegionCame,
    RegionWent,
}

const OPS: [Op; 17] = {
    use Op::*;
    [
        Name, Load, Share, Access, Unload, Alloc, Free, Acquire, Release, Loaded, Evicted, Placed, Left, Moved,
        Refused, RegionCame, RegionWent,
    ]
};
const _: () = assert!(OPS[16] as u8 == 16 && OPS[8] as u8 == 8);

/// One record, unpacked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) op: Op,
    /// The clock's raw count.
    pub(crate) raw: u64,
    /// The plugin's number, 24 bits of it.
    pub(crate) plugin: u32,
    /// The thread's number.
    pub(crate) thread: u32,
    pub(crate) id: u64,
    pub(crate) bytes: u64,
    pub(crate) address: u64,
    pub(crate) rest: u64,
}

const PLUGIN_BITS: u32 = (1 << 24) - 1;

/// The `address` of an eviction: at which priority, and for which plugin.
pub(crate) fn eviction(priority: i32, needed_by: u32) -> u64 {
    u64::from(priority.cast_unsigned()) | u64::from(needed_by) << 32
}

impl Entry {
    /// Of an eviction: the number of the plugin that needed the place.
    pub(crate) fn needed_by(self) -> u32 {
        (self.address >> 32) as u32
    }

    pub(crate) fn pack(self) -> Record {
        let head = self.op as u64 | u64::from(self.plugin & PLUGIN_BITS) << 8 | u64::from(self.thread) << 32;
        [head, self.raw, self.id, self.bytes, self.address, self.rest, 0]
    }

    pub(crate) fn unpack(record: Record) -> Option<Entry> {
        let [head, raw, id, bytes, address, rest, _] = record;
        let op = *OPS.get((head & 0xFF) as usize)?;
        let (plugin, thread) = ((head >> 8) as u32 & PLUGIN_BITS, (head >> 32) as u32);
        Some(Entry { op, raw, plugin, thread, id, bytes, address, rest })
    }
}

/// The bytes of text in one record, and how many records one label may take: what is longer is cut.
const PIECE: usize = 40;
pub(crate) const PIECES: usize = 4;

/// A label's pieces.
pub(crate) fn name(id: u64, label: &str) -> impl Iterator<Item = Record> {
    label.as_bytes().chunks(PIECE).take(PIECES).map(move |piece| {
        let mut text = [0; PIECE];
        text[..piece.len()].copy_from_slice(piece);
        let mut record = [Op::Name as u64 | (piece.len() as u64) << 32, 0, id, 0, 0, 0, 0];
        let places = [1, 3, 4, 5, 6];
        for (place, word) in places.into_iter().zip(text.chunks_exact(8)) {
            record[place] = u64::from_le_bytes(word.try_into().expect("eight bytes"));
        }
        record
    })
}

/// The mirror of `name`: appends a piece's text.
pub(crate) fn append_name(record: Record, to: &mut Vec<u8>) {
    let length = ((record[0] >> 32) as usize).min(PIECE);
    let text = [1, 3, 4, 5, 6].map(|place: usize| record[place].to_le_bytes());
    to.extend(text.as_flattened().iter().take(length));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out() {
        for (number, &op) in OPS.iter().enumerate() {
            let entry =
                Entry { op, raw: 1 << 60, plugin: 0xAB_CDEF, thread: 7, id: u64::MAX, bytes: 3, address: 4, rest: 5 };
            let again = Entry::unpack(entry.pack()).unwrap();
            assert_eq!((again.op as usize, again.plugin, again.thread, again.raw), (number, 0xAB_CDEF, 7, 1 << 60));
            assert_eq!((again.id, again.bytes, again.address, again.rest), (u64::MAX, 3, 4, 5));
        }
    }

    #[test]
    fn a_label_goes_through_in_pieces() {
        for length in [0, 1, 39, 40, 41, 159, 160, 200] {
            let label = "äbcdefghij".chars().cycle().take(length).collect::<String>();
            let mut text = Vec::new();
            name(9, &label).for_each(|record| append_name(record, &mut text));
            assert_eq!(text, &label.as_bytes()[..label.len().min(PIECE * PIECES)]);
        }
    }
}
