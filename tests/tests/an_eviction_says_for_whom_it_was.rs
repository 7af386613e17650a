//! An eviction tells an observer who asked for the room, and how much of it: so that one can say who pushed out whom.

use freehold_cuda::{Bytes, Event};
use freehold_tests::world::{World, on_both_devices, sourced, units};

/// Who left, whose it was, how much was asked, and by whom.
fn told(world: &World) -> Vec<(u64, String, Bytes, String)> {
    let evicted = |event: &Event| match event {
        Event::Evicted { id, plugin, needed, needed_by, .. } => {
            Some((*id, plugin.to_string(), *needed, needed_by.to_string()))
        }
        _ => None,
    };
    world.recorder.take().iter().filter_map(evicted).collect()
}

#[test]
fn the_plugin_that_asked_is_named_at_an_allocation_and_at_an_access() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let (chat, video) = (manager.plugin("chat"), manager.plugin("video"));
        let cold = manager.allocate(sourced(1, units(3)).plugin(&chat)).expect("fits");
        let hot = manager.allocate(sourced(2, units(2)).plugin(&video)).expect("fits once the other has left");
        assert_eq!(told(world), [(cold.id(), "chat".into(), units(2), "video".into())]);
        drop(cold.access().expect("comes back once the other has left"));
        assert_eq!(told(world), [(hot.id(), "video".into(), units(3), "chat".into())]);
    });
}

#[test]
fn where_the_manager_itself_makes_room_it_is_nobody() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let cold = manager.allocate(sourced(1, units(3)).plugin(&manager.plugin("chat"))).expect("fits");
        manager.evict_for_space(units(2)).expect("it may leave");
        assert_eq!(told(world), [(cold.id(), "chat".into(), units(2), String::new())]);
    });
}
