//! What it costs to be seen: an access to a resident entry, and an allocation with its free, with the event log off and on.
//!
//! Counting cannot be turned off: what it costs is the difference between two builds, this bench run on both in turn by
//! `benches/counting.sh`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use freehold_cuda::{Allocation, Bytes, HostBytes, VramManager, VramManagerBuilder};

fn observe(criterion: &mut Criterion) {
    let with_log: fn(VramManagerBuilder) -> VramManagerBuilder = |builder| builder.event_log(1 << 16);
    rows(criterion, "log_off", |builder| builder);
    rows(criterion, "log_on", with_log);
}

fn rows(criterion: &mut Criterion, log: &str, with: fn(VramManagerBuilder) -> VramManagerBuilder) {
    let mut group = criterion.benchmark_group(format!("observe_{log}"));
    let manager = with(VramManager::builder().budget(Bytes(64 << 20))).build().unwrap();

    let weights = HostBytes(vec![7; 4096].into());
    let resident = manager.allocate(Allocation::new(Bytes(4096)).source(weights)).unwrap();
    assert_eq!(resident.access().unwrap().as_host_slice(), Some(&[7; 4096][..]));
    group.bench_function("access_resident", |bencher| bencher.iter(|| drop(black_box(resident.access()))));

    let plugin = manager.plugin("bench");
    let allocation = || Allocation::new(Bytes(4096)).plugin(&plugin).fixed();
    assert!(manager.allocate(allocation()).unwrap().is_resident());
    group.bench_function("allocate_free", |bencher| bencher.iter(|| drop(black_box(manager.allocate(allocation())))));
    group.finish();
}

criterion_group!(benches, observe);
criterion_main!(benches);
