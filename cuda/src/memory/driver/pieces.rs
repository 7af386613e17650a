//! A copy onto itself: a block that slides by less than its own length goes in pieces.

use crate::memory::Address;
use freehold_core::Bytes;

/// A copy in pieces none of which overlaps itself, each after those whose target it would have been overwritten by: the
/// driver leaves a copy onto itself undefined. Where the ranges are apart, one piece; otherwise as many as the distance
/// goes into the length: a mover prefers far targets.
pub(super) fn pieces(to: Address, from: Address, bytes: Bytes) -> impl Iterator<Item = (u64, u64)> {
    let (length, distance) = (bytes.get(), to.0.abs_diff(from.0));
    let piece = if distance == 0 { length } else { distance.min(length) };
    let count = if distance == 0 || length == 0 { 0 } else { length.div_ceil(piece) };
    let upwards = to.0 < from.0;
    (0..count).map(move |turn| {
        let at = piece * if upwards { turn } else { count - 1 - turn };
        (at, piece.min(length - at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces carried out on ordinary bytes, each by a copy that must not overlap itself.
    fn moved(to: usize, from: usize, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..100).collect();
        for (start, length) in pieces(Address(to as u64), Address(from as u64), Bytes(length as u64)) {
            let (start, length) = (start as usize, length as usize);
            assert!(to.abs_diff(from) >= length, "a piece overlaps itself");
            let piece = bytes[from + start..from + start + length].to_vec();
            bytes[to + start..to + start + length].copy_from_slice(&piece);
        }
        bytes[to..to + length].to_vec()
    }

    #[test]
    fn a_copy_onto_itself_arrives_whole_in_both_directions() {
        for (to, from, length) in
            [(0, 50, 50), (0, 7, 50), (7, 0, 50), (10, 13, 61), (13, 10, 61), (5, 5, 20), (0, 1, 0)]
        {
            let expected: Vec<u8> = (from as u8..(from + length) as u8).collect();
            assert_eq!(moved(to, from, length), expected, "{length} bytes from {from} to {to}");
        }
    }
}
