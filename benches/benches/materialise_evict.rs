//! Materialise and evict: an entry of some size leaves and comes back, on the card where there is one and on the host device
//! otherwise. Its content is checked before anything is timed.
//!
//! Sourced entries leave without a copy, so a turn is one upload: from ordinary memory through staging, or, on a card, from
//! pinned memory by the card itself. The floor is what the host needs to copy as many bytes once.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use freehold_cuda::memory::driver::CudaDevice;
use freehold_cuda::{
    Allocation, Bytes, DeviceMemory, HostBytes, HostDevice, PinnedBytes, Source, VramHandle, VramManager,
};

/// One manager whose whole budget is one entry.
struct Place {
    manager: VramManager,
    handle: VramHandle,
}

impl Place {
    fn new(device: Arc<dyn DeviceMemory>, content: &[u8], source: Arc<dyn Source>) -> Place {
        let bytes = Bytes(content.len() as u64);
        let manager = VramManager::builder().device(device).budget(bytes).build().expect("the device has room");
        let handle = manager.allocate(Allocation::new(bytes).shared_source(source)).expect("it fits");
        let place = Place { manager, handle };
        place.turn();
        let mut found = vec![0; content.len()];
        place.handle.access().expect("content").read(0, &mut found).expect("a copy");
        assert!(found == content, "what came back is what the source has");
        place
    }

    /// The entry leaves, and is there again when this returns.
    fn turn(&self) {
        let left = self.manager.evict_for_space(self.manager.budget()).expect("it may leave");
        assert_eq!(left.len(), 1);
        black_box(self.handle.access().expect("content").device_ptr());
    }
}

fn materialise_evict(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("materialise_evict");
    let card = CudaDevice::new(0).ok();
    for mib in [1_u64, 16, 64] {
        let content: Vec<u8> = (0..mib << 20).map(|at| (at ^ (at >> 11)) as u8).collect();
        let shared: Arc<dyn Source> = Arc::new(HostBytes(content.clone().into()));
        group.throughput(Throughput::Bytes(mib << 20));
        let mut target = vec![0_u8; content.len()];
        group.bench_function(BenchmarkId::new("floor_host_copy", mib), |bencher| {
            bencher.iter(|| target.copy_from_slice(black_box(&content)));
        });
        let host = Place::new(Arc::new(HostDevice::new()), &content, shared.clone());
        group.bench_function(BenchmarkId::new("host", mib), |bencher| bencher.iter(|| host.turn()));
        let Some(card) = &card else { continue };
        let pageable = Place::new(card.clone(), &content, shared);
        group.bench_function(BenchmarkId::new("card_pageable", mib), |bencher| bencher.iter(|| pageable.turn()));
        let source = PinnedBytes::copy_of(&content).expect("memory");
        card.register(&source).expect("the driver takes it");
        let pinned = Place::new(card.clone(), &content, Arc::new(source));
        group.bench_function(BenchmarkId::new("card_pinned", mib), |bencher| bencher.iter(|| pinned.turn()));
    }
    group.finish();
}

criterion_group!(benches, materialise_evict);
criterion_main!(benches);
