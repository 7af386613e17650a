//! Materialise, evict and move: an entry of some size leaves and comes back, on the card where there is one and on the host
//! device otherwise. Its content is checked before anything is timed.
//!
//! Sourced entries leave without a copy, so a turn is one upload: from ordinary memory through staging, or, on a card, from
//! pinned memory by the card itself. The ceilings: what the host needs to copy as many bytes once, and what the driver needs to
//! copy them from pinned memory, or inside the card, with nothing of ours around it.
#![allow(unsafe_code, reason = "the ceilings are raw driver calls")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use freehold_cuda::cudarc::driver::result;
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
        self.leave();
        black_box(self.handle.access().expect("content").device_ptr());
    }

    fn leave(&self) {
        let left = self.manager.evict_for_space(self.manager.budget()).expect("it may leave");
        assert_eq!(left.len(), 1);
    }

    /// How long it takes to leave alone.
    fn leaving(&self, turns: u64) -> Duration {
        let one = |_| {
            let begun = Instant::now();
            self.leave();
            let took = begun.elapsed();
            drop(self.handle.access().expect("content"));
            took
        };
        (0..turns).map(one).sum()
    }
}

fn materialise_evict(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("materialise_evict");
    let card = CudaDevice::new(0).ok();
    let room = card.as_ref().map_or(u64::MAX, |card| card.info().expect("a card").free.get());
    for mib in [1_u64, 16, 64, 256].into_iter().filter(|mib| (mib << 20) <= room / 4) {
        let content: Vec<u8> = (0..mib << 20).map(|at| (at ^ (at >> 11)) as u8).collect();
        let shared: Arc<dyn Source> = Arc::new(HostBytes(content.clone().into()));
        group.throughput(Throughput::Bytes(mib << 20));
        let mut target = vec![0_u8; content.len()];
        group.bench_function(BenchmarkId::new("ceiling_host_copy", mib), |bencher| {
            bencher.iter(|| target.copy_from_slice(black_box(&content)));
        });
        let host = Place::new(Arc::new(HostDevice::new()), &content, shared.clone());
        group.bench_function(BenchmarkId::new("host", mib), |bencher| bencher.iter(|| host.turn()));
        if let Some(card) = &card {
            on_card(&mut group, card, mib, &content, shared);
        }
    }
    group.finish();
}

fn on_card(
    group: &mut BenchmarkGroup<'_, WallTime>,
    card: &Arc<CudaDevice>,
    mib: u64,
    content: &[u8],
    shared: Arc<dyn Source>,
) {
    let source = PinnedBytes::copy_of(content).expect("memory");
    card.register(&source).expect("the driver takes it");
    let source = Arc::new(source);
    let region = card.allocate(Bytes(mib << 20)).expect("room");
    let stream = card.context().new_stream().expect("a stream");
    group.bench_function(BenchmarkId::new("ceiling_card_pinned", mib), |bencher| {
        bencher.iter(|| {
            // SAFETY: the region is as long as the bytes, both live, and the stream is waited for.
            unsafe { result::memcpy_htod_async(region.address.0, source.as_slice(), stream.cu_stream()) }
                .expect("a copy");
            stream.synchronize().expect("it ends");
        });
    });
    card.free(region).expect("it goes back");
    let pinned = Place::new(card.clone(), content, source);
    group.bench_function(BenchmarkId::new("card_pinned", mib), |bencher| bencher.iter(|| pinned.turn()));
    group.bench_function(BenchmarkId::new("card_evict_sourced", mib), |bencher| {
        bencher.iter_custom(|turns| pinned.leaving(turns));
    });
    let pageable = Place::new(card.clone(), content, shared);
    group.bench_function(BenchmarkId::new("card_pageable", mib), |bencher| bencher.iter(|| pageable.turn()));
}

/// Three entries fill a budget; the outer two go, and one of two lengths comes: the middle one moves.
struct Row {
    manager: VramManager,
    entries: Vec<VramHandle>,
    bytes: Bytes,
}

impl Row {
    fn new(card: &Arc<CudaDevice>, bytes: Bytes) -> Row {
        let budget = Bytes(3 * bytes.get());
        let manager = VramManager::builder().device(card.clone()).budget(budget).build().expect("the card has room");
        let mut row = Row { manager, entries: Vec::new(), bytes };
        row.fill();
        row
    }

    fn fill(&mut self) {
        while self.entries.len() < 3 {
            let entry = self.manager.allocate(Allocation::new(self.bytes).fixed()).expect("room");
            self.entries.push(entry);
        }
    }

    /// How long one move takes, from the request that needs it until the moved bytes are there.
    fn turn(&mut self) -> Duration {
        self.entries.sort_by_key(|entry| entry.access().expect("fixed").device_ptr());
        self.entries.truncate(2);
        self.entries.remove(0);
        let moves = self.manager.stats().moves;
        let begun = Instant::now();
        let long =
            self.manager.allocate(Allocation::new(Bytes(2 * self.bytes.get())).fixed()).expect("room after a move");
        drop(self.entries[0].access().expect("moved"));
        let took = begun.elapsed();
        assert_eq!(self.manager.stats().moves, moves + 1);
        drop(long);
        self.fill();
        took
    }
}

fn moves(criterion: &mut Criterion) {
    let Ok(card) = CudaDevice::new(0) else { return };
    let mut group = criterion.benchmark_group("move");
    let room = card.info().expect("a card").free.get() / 8;
    let bytes = Bytes(room.min(1 << 30) & !((2 << 20) - 1));
    let mib = bytes.get() >> 20;
    group.throughput(Throughput::Bytes(bytes.get()));
    let regions = [0, 1].map(|_| card.allocate(bytes).expect("room"));
    let stream = card.context().new_stream().expect("a stream");
    group.bench_function(BenchmarkId::new("ceiling_card_inside", mib), |bencher| {
        bencher.iter(|| {
            let [to, from] = [&regions[0], &regions[1]].map(|region| region.address.0);
            // SAFETY: two live regions of this length; the stream is waited for.
            unsafe { result::memcpy_dtod_async(to, from, bytes.get() as usize, stream.cu_stream()) }.expect("a copy");
            stream.synchronize().expect("it ends");
        });
    });
    regions.into_iter().for_each(|region| card.free(region).expect("it goes back"));
    let mut row = Row::new(&card, bytes);
    group.bench_function(BenchmarkId::new("card_move", mib), |bencher| {
        bencher.iter_custom(|turns| (0..turns).map(|_| row.turn()).sum());
    });
    group.finish();
}

criterion_group!(benches, materialise_evict, moves);
criterion_main!(benches);
