//! A whole model in one call: a handle per tensor, shared or not, evicted tensor by tensor, and nothing left behind where
//! it fails half-way. Ends with the example that a plugin's author reads.

use freehold_cuda::{Allocation, Bytes, Error, HostBytes, ModelSource, VramHandle, VramManager, source};
use freehold_tests::files::{ScratchFile, pattern};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

#[allow(dead_code, reason = "its main is for a shell")]
#[path = "../../cuda/examples/two_plugins.rs"]
mod two_plugins;

const TENSOR: usize = 4096;

/// Four tensors of one page each, in a file.
fn four_layers() -> ScratchFile {
    let layers: Vec<Vec<u8>> = (0..4).map(|seed| pattern(seed, TENSOR)).collect();
    let names = ["layer.0", "layer.1", "layer.2", "layer.3"];
    let tensors: Vec<(&str, &[u8])> = names.iter().zip(&layers).map(|(name, layer)| (*name, &layer[..])).collect();
    ScratchFile::model(&tensors)
}

fn manager(tensors: usize) -> VramManager {
    VramManager::builder().budget(Bytes((tensors * TENSOR) as u64)).build().unwrap()
}

fn content(handle: &VramHandle) -> Vec<u8> {
    let mut bytes = vec![0; handle.bytes().get() as usize];
    handle.access().unwrap().read(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn every_tensor_has_a_handle_under_its_name() {
    let file = four_layers();
    let manager = manager(8);
    let model = manager.load_model(&ModelSource::open(file.path()).unwrap(), 3, "encoder").unwrap();
    assert_eq!((model.len(), model.bytes(), model.resident_bytes()), (4, Bytes(16_384), Bytes(16_384)));
    for seed in 0..4 {
        let handle = model.get(&format!("layer.{seed}")).unwrap();
        assert_eq!((handle.label(), handle.priority()), (&*format!("encoder/layer.{seed}"), 3));
        assert_eq!(content(handle), pattern(seed, TENSOR));
    }
    assert!(model.get("layer.4").is_none());
    assert_eq!((&model).into_iter().map(|(name, _)| name).collect::<Vec<_>>().len(), 4);
    model.set_priority(-7);
    assert!(model.iter().all(|(_, handle)| handle.priority() == -7));

    model.release();
    model.release();
    assert_eq!(manager.audit().unwrap().resident, Bytes(0));
    assert!(matches!(model.get("layer.0").unwrap().access().map(drop), Err(Error::Released { .. })));
    drop(model);
    assert_eq!(manager.audit().unwrap().handles, 0);
}

#[test]
fn a_model_larger_than_the_budget_is_loaded_once_as_far_as_it_fits() {
    let file = four_layers();
    let manager = manager(3);
    let model = manager.load_model(&ModelSource::open(file.path()).unwrap(), 0, "encoder").unwrap();
    assert_eq!((manager.stats().loads, manager.stats().evictions), (3, 0), "nothing is loaded to be evicted at once");
    for round in 0..3 {
        for seed in 0..4 {
            assert_eq!(content(model.get(&format!("layer.{seed}")).unwrap()), pattern(seed, TENSOR), "round {round}");
        }
    }
    assert!(manager.stats().evictions > 0 && model.resident_bytes() == Bytes(3 * TENSOR as u64), "tensor by tensor");
    manager.audit().unwrap();
}

#[test]
fn a_written_tensor_keeps_what_was_written() {
    let file = four_layers();
    let manager = manager(2);
    let mut model = manager.register_model(&ModelSource::open(file.path()).unwrap(), 0, "tuned").unwrap();
    assert_eq!(model.resident_bytes(), Bytes(0));
    model.get_mut("layer.1").unwrap().access_mut().unwrap().write(7, b"tuned").unwrap();
    manager.evict_for_space(Bytes(2 * TENSOR as u64)).unwrap();
    let mut tuned = pattern(1, TENSOR);
    tuned[7..12].copy_from_slice(b"tuned");
    assert_eq!(content(model.get("layer.1").unwrap()), tuned);
}

#[test]
fn a_failure_half_way_leaves_nothing_behind() {
    let ends = Arc::new(AtomicUsize::new(0));
    let tensor = |fails: bool| {
        let counted = Ends(Arc::clone(&ends));
        let fill = move |target: &mut [u8]| {
            let _ = &counted;
            target.fill(1);
            if fails { Err(freehold_cuda::SourceError::new("unreadable")) } else { Ok(()) }
        };
        Allocation::new(Bytes(TENSOR as u64)).source(source::closure(fill))
    };
    let manager = manager(8);
    let bystander =
        manager.allocate(Allocation::new(Bytes(TENSOR as u64)).source(HostBytes(pattern(9, TENSOR).into())));
    for shared in [false, true] {
        ends.store(0, SeqCst);
        let source = ModelSource::new().tensor("a", tensor(false)).tensor("b", tensor(false)).tensor("c", tensor(true));
        let refused = match shared {
            false => manager.load_model(&source, 0, "m").map(drop).unwrap_err(),
            true => manager.acquire_shared_model(&source, 0, "m").map(drop).unwrap_err(),
        };
        let Error::SourceFailed { label, .. } = refused else { panic!("{refused}") };
        assert_eq!(&*label, "m/c");
        let books = manager.audit().unwrap();
        assert_eq!((books.handles, books.buffers, books.resident), (1, 1, Bytes(TENSOR as u64)));
        drop(source);
        assert_eq!(ends.load(SeqCst), 3, "no source is kept");
    }
    assert_eq!(content(&bystander.unwrap()), pattern(9, TENSOR));
}

/// Counts its end.
struct Ends(Arc<AtomicUsize>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn two_plugins_share_a_model_of_one_file() {
    let file = four_layers();
    let manager = manager(8);
    let source = ModelSource::open(file.path()).unwrap();
    let (one, two) = (manager.plugin("one"), manager.plugin("two"));
    let ours = manager.acquire_shared_model(&source.clone().plugin(&one), 1, "encoder").unwrap();
    let theirs = manager.acquire_shared_model(&source.clone().plugin(&two), 5, "encoder").unwrap();
    assert_eq!((manager.stats().loads, one.stats().loads, two.stats().loads), (4, 4, 0), "loaded once (D1)");
    assert_eq!(manager.audit().unwrap().resident, Bytes(4 * TENSOR as u64), "counted once (D3)");
    let lazily = manager.register_shared_model(&source, 0, "encoder").unwrap();
    assert_eq!((lazily.resident_bytes(), manager.stats().loads), (ours.bytes(), 4), "what is there is joined");
    drop(lazily);
    assert!(ours.iter().all(|(_, handle)| handle.priority() == 5), "the highest counts (D4)");
    theirs.release();
    assert!(ours.iter().all(|(_, handle)| handle.priority() == 1));
    drop(theirs);
    assert_eq!(content(ours.get("layer.2").unwrap()), pattern(2, TENSOR), "the other's part goes on (D2)");

    let other = ModelSource::new().tensor("layer.0", Allocation::new(Bytes(64)).source(HostBytes([0; 64].into())));
    let refused = manager.acquire_shared_model(&other, 0, "encoder").map(drop).unwrap_err();
    assert!(matches!(refused, Error::SharedMismatch { .. }), "{refused}");
    assert_eq!(ours.resident_bytes(), Bytes(4 * TENSOR as u64), "untouched (D6)");
    drop(ours);
    assert_eq!(manager.audit().unwrap().handles, 0);
}

#[test]
fn plugins_that_come_at_once_load_each_tensor_once() {
    let file = four_layers();
    let source = ModelSource::open(file.path()).unwrap();
    for _ in 0..20 {
        let manager = manager(4);
        let models: Vec<_> = std::thread::scope(|scope| {
            let join = || manager.acquire_shared_model(&source, 0, "encoder").unwrap();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(join)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(manager.stats().loads, 4, "one load each (D7)");
        assert!(models.iter().all(|model| content(model.get("layer.3").unwrap()) == pattern(3, TENSOR)));
        drop(models);
        assert_eq!(manager.audit().unwrap().handles, 0);
    }
}

#[test]
fn shards_are_one_model_and_a_name_is_there_once() {
    let shards = [ScratchFile::model(&[("a", &[1; 64])]), ScratchFile::model(&[("b", &[2; 64])])];
    let manager = manager(1);
    let source = ModelSource::open_shards(shards.iter().map(ScratchFile::path)).unwrap();
    let model = manager.load_model(&source, 0, "sharded").unwrap();
    assert_eq!((content(model.get("a").unwrap()), content(model.get("b").unwrap())), (vec![1; 64], vec![2; 64]));
    let twice = ModelSource::open_shards([shards[0].path(), shards[0].path()]).unwrap();
    let refused = manager.load_model(&twice, 0, "twice").map(drop).unwrap_err();
    assert!(matches!(&refused, Error::DuplicateTensor { label } if &**label == "twice/a"), "{refused}");
    assert_eq!(manager.audit().unwrap().handles, 2);
}

#[test]
fn the_example_of_two_plugins_runs_over_budget() {
    let stats = two_plugins::share_a_model(four_layers().path()).unwrap();
    assert!(stats.loads > 4 && stats.evictions > 0, "more was used than fits: {stats:?}");
    assert_eq!(stats.peak_resident_bytes, 2 * TENSOR as u64, "and never more than the budget was there");
}
