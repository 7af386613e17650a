//! A look at the arenas shows each block once, where it lies, whose it is and whether it may leave; and an eviction says
//! for whom it was.
//!
//! Not covered: a look while others are at work, of which only little is promised.

use freehold_cuda::{Allocation, BlockStanding, Bytes, Event, Offset};
use freehold_tests::world::{U, on_both_devices, sourced, units};

#[test]
fn blocks_are_shown_with_their_owners_and_standing() {
    on_both_devices(|world| {
        let manager = world.manager(16);
        let (chat, video) = (manager.plugin("chat"), manager.plugin("video"));
        let idle = manager.allocate(sourced(1, units(4)).plugin(&chat).priority(3)).expect("fits");
        let fixed = manager.allocate(Allocation::new(units(2)).fixed().plugin(&video)).expect("fits");
        let pinned = manager.allocate(sourced(2, units(3)).plugin(&video)).expect("fits");
        let absent = manager.register(sourced(3, units(1))).expect("takes no memory");
        let guard = pinned.access().expect("it is there");
        let seen = manager.occupancy();
        drop(guard);

        assert_eq!(seen.arenas, [units(16)]);
        let shown = |id| seen.blocks.iter().find(|block| block.id == id);
        let figures = |id| shown(id).map(|block| (block.bytes, &*block.plugin, block.priority, block.standing));
        assert_eq!(figures(idle.id()), Some((units(4), "chat", 3, BlockStanding::Idle)));
        assert_eq!(figures(fixed.id()), Some((units(2), "video", 0, BlockStanding::Fixed)));
        assert_eq!(figures(pinned.id()), Some((units(3), "video", 0, BlockStanding::Pinned)));
        assert!(shown(absent.id()).is_none());
        assert_eq!(shown(idle.id()).map(|block| &*block.label), Some("number 1"));
    });
}

#[test]
fn at_rest_the_blocks_are_disjoint_and_sum_up_to_the_books() {
    on_both_devices(|world| {
        let manager = world.manager(64);
        let sizes = [1, 700, 512, 4000, 9000, 513];
        let mut handles: Vec<_> = sizes.map(|size| manager.allocate(sourced(size, Bytes(size))).expect("fits")).into();
        drop(handles.remove(3));
        let seen = manager.occupancy();
        let mut end = Offset(0);
        for block in &seen.blocks {
            assert!(block.offset >= end, "{seen:?}");
            end = block.offset + block.bytes;
        }
        assert!(end.get() <= 64 * U);
        let sum: u64 = seen.blocks.iter().map(|block| block.bytes.get()).sum();
        assert_eq!(sum, manager.stats().resident_bytes);
        assert_eq!(seen.blocks.len(), handles.len());
    });
}

#[test]
fn an_eviction_says_for_whom_it_was() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let (chat, video) = (manager.plugin("chat"), manager.plugin("video"));
        let cold = manager.allocate(sourced(1, units(3)).plugin(&chat)).expect("fits");
        let _hot = manager.allocate(sourced(2, units(2)).plugin(&video)).expect("fits once the other has left");
        let events = world.recorder.take();
        let left = events.iter().find_map(|event| match event {
            Event::Evicted { id, plugin, needed, needed_by, .. } => Some((*id, &**plugin, *needed, &**needed_by)),
            _ => None,
        });
        assert_eq!(left, Some((cold.id(), "chat", units(2), "video")));
    });
}
