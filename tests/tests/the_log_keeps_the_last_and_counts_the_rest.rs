//! The event log is bounded: the newest records are kept and the others counted, and what is left is still a whole trace.
//!
//! Not covered: that nobody waits, which the ring's models show.

use freehold_cuda::{Allocation, EventLog, VramManager};
use freehold_tests::world::{World, sourced, units};
use std::collections::HashMap;

fn trace(log: &EventLog) -> Vec<Vec<String>> {
    let mut text = Vec::new();
    log.write_trace(&mut text, 1).unwrap();
    let text = String::from_utf8(text).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    lines.map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// A trace is whole: made once, used while it lives, ended once, the same size on every line.
fn assert_whole(lines: &[Vec<String>]) {
    let mut live: HashMap<&str, &str> = HashMap::new();
    for line in lines {
        let [_, _, op, id, bytes, _, _] = line.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
            panic!("{line:?}")
        };
        match op {
            "begin" => {}
            "load" | "alloc" | "acquire" => assert_eq!(live.insert(id, bytes), None, "{line:?}"),
            "unload" | "free" | "release" => assert_eq!(live.remove(id), Some(bytes), "{line:?}"),
            _ => assert_eq!(live.get(id), Some(&bytes), "{line:?}"),
        }
    }
}

fn words(lines: &[Vec<String>]) -> Vec<&str> {
    lines.iter().map(|line| &*line[2]).collect()
}

#[test]
fn off_unless_asked_for() {
    assert!(World::host().manager(4).event_log().is_none());
}

#[test]
fn it_says_what_was_asked() {
    let manager = World::host().builder(8).event_log(64).build().unwrap();
    let plugin = manager.plugin("chat, or so\n");
    let label = format!("w:{}", "tensor/".repeat(12));
    let weight = manager.register(sourced(1, units(2)).plugin(&plugin).label(label.as_str())).unwrap();
    drop(weight.access().unwrap());
    let shared = |name: &str| sourced(2, units(1)).plugin(&manager.plugin(name));
    let first = manager.acquire_shared_weights("key", shared("one")).unwrap();
    let second = manager.acquire_shared_weights("key", shared("two")).unwrap();
    let reservation = manager.reserve(units(2)).unwrap();
    drop(manager.allocate(Allocation::new(units(1)).fixed().within(&reservation)).unwrap());
    assert!(manager.allocate(Allocation::new(units(9)).fixed()).is_err()); // larger than could ever fit: nothing began
    assert!(manager.allocate(Allocation::new(units(7)).fixed()).is_err());
    drop((first, second));
    weight.release();
    drop(weight);
    let lines = trace(manager.event_log().unwrap());
    assert_whole(&lines);
    let expected =
        "begin load access begin load access begin share access begin acquire release alloc free unload unload";
    assert_eq!(words(&lines).join(" "), expected);
    assert_eq!(lines[0][6], "chat; or so;", "the format knows no quotes");
    assert_eq!(lines[1][6], label);
    assert_eq!(manager.event_log().unwrap().lost(), 0);
}

#[test]
fn an_overflow_is_counted_and_the_rest_is_a_trace() {
    let manager = World::host().builder(8).event_log(32).build().unwrap();
    let log = |manager: &VramManager| manager.event_log().unwrap().lost();
    let weight = manager.allocate(sourced(1, units(2)).label("old")).unwrap();
    let block = manager.allocate(Allocation::new(units(1)).label("old").fixed()).unwrap();
    assert_eq!(log(&manager), 0);
    for _ in 0..1000 {
        drop(weight.access().unwrap());
    }
    drop((weight, block));
    let log = manager.event_log().unwrap();
    assert_eq!((log.capacity(), log.lost()), (32, log.recorded() - 32));
    let lines = trace(log);
    assert_whole(&lines);
    assert_eq!(
        words(&lines)[..3],
        ["begin", "load", "access"],
        "the beginning that was lost is written where it is first met"
    );
    assert_eq!(words(&lines)[lines.len() - 3..], ["unload", "alloc", "free"]);
}

#[test]
fn threads_write_at_once() {
    let manager = World::host().builder(100).event_log(1 << 16).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    drop(manager.allocate(Allocation::new(units(1)).fixed()).unwrap());
                }
            });
        }
    });
    let log = manager.event_log().unwrap();
    assert_eq!(log.lost(), 0);
    let lines = trace(log);
    assert_whole(&lines);
    assert_eq!(lines.len(), 1 + 2 * 2000);
}
