//! While a graph is captured (F5): its stream is refused, and it is neither joined nor ended by what the manager does elsewhere.
//! So is the one stream that cannot be told from others.
//!
//! Not covered: graphs that are launched after their capture (a captured address is refused instead).
#![allow(unsafe_code, reason = "raw driver calls")]

use freehold_cuda::cudarc::driver::{result, sys};
use freehold_cuda::{Allocation, Bytes, Error, VramManager};
use freehold_sim_control::Sim;
use freehold_tests::card::{BYTES, Plugin, content, landed, source};

#[test]
fn f5_a_stream_that_is_being_captured_is_refused() {
    let sim = Sim::late(1);
    let plugin = Plugin::new(1);
    let stream = plugin.stream();
    let handle = plugin.allocate(plugin.sourced(1));
    stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED).expect("a capture");
    let refused = handle.access_on(&stream).expect_err("the address may be another's when the graph is launched");
    assert!(matches!(&refused, Error::Device(error) if error.reason.contains("captured")), "{refused}");
    assert_eq!(plugin.manager.evict_for_space(Bytes(BYTES)).expect("nothing is pinned").len(), 1);
    let raw = stream.cu_stream();
    // SAFETY: the stream is being captured.
    let _ = unsafe { result::stream::end_capture(raw) };
    assert_eq!(landed(&stream, &plugin.read_later(&handle, &stream)), source(1), "afterwards it may be used again");
    drop((handle, stream));
    plugin.finish(&sim);
}

#[test]
fn f5_what_a_stream_used_before_a_capture_is_reused_after_it_and_the_graph_stays_clean() {
    let sim = Sim::late(1);
    let plugin = Plugin::new(1);
    let stream = plugin.stream();
    let used = plugin.allocate(plugin.sourced(1));
    let seen = plugin.read_later(&used, &stream);
    stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED).expect("a capture");
    let next = plugin.manager.register(plugin.sourced(2)).expect("a handle");
    let refused = next.access().expect_err("nobody can be put behind this stream now");
    assert!(matches!(&refused, Error::Device(error) if error.reason.contains("CAPTURE")), "{refused}");
    let raw = stream.cu_stream();
    // SAFETY: the stream is being captured.
    let _ = unsafe { result::stream::end_capture(raw) };
    assert_eq!(content(&next), source(2), "afterwards it can be had");
    assert_eq!(landed(&stream, &seen), source(1), "and came after the reader all the same");
    drop((used, next, seen, stream));
    plugin.finish(&sim);
}

#[test]
fn f5_a_capture_elsewhere_is_not_disturbed_by_new_memory() {
    let sim = Sim::late(1);
    let plugin = Plugin::new(1);
    let (elsewhere, stream) = (plugin.stream(), plugin.stream());
    elsewhere.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_GLOBAL).expect("a capture");
    let manager = VramManager::builder().device(plugin.device.clone()).budget(Bytes(4 * BYTES)).build();
    let manager = manager.expect("a region of its own");
    let handle = manager.allocate(plugin.pinned(1)).expect("room");
    let spilled = manager.allocate(Allocation::new(Bytes(BYTES))).expect("room");
    drop(handle.access_on(&stream).expect("another stream is free to use"));
    manager.evict_for_space(Bytes(4 * BYTES)).expect("all may leave");
    assert_eq!(content(&handle), source(1));
    let raw = elsewhere.cu_stream();
    // SAFETY: the stream is being captured.
    let ended = unsafe { result::stream::end_capture(raw) };
    assert!(ended.is_ok(), "the capture is whole: {ended:?}");
    drop((handle, spilled, manager, elsewhere, stream));
    plugin.finish(&sim);
}

#[test]
fn the_default_stream_of_each_thread_is_refused() {
    let sim = Sim::late(1);
    let plugin = Plugin::new(1);
    let handle = plugin.allocate(plugin.sourced(1));
    let stream = plugin.device.context().per_thread_stream();
    let refused = handle.access_on(&stream).expect_err("one handle, many streams");
    assert!(matches!(&refused, Error::Device(error) if error.reason.contains("same handle")), "{refused}");
    drop((handle, stream));
    plugin.finish(&sim);
}
