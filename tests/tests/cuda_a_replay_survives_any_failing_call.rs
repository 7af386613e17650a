//! The beginning of a recorded mix, replayed over budget with a driver of which one call fails: a typed error or a recovery,
//! no wrong byte, books that agree, nothing lost, no panic; and whatever was refused can be had again afterwards.
//!
//! One good replay counts its calls. Then it is repeated with the n-th call of each function failing: every n that is a
//! multiple of a step, so that about 25 of each are tried; every single one with `FREEHOLD_EVERY_CALL=1` (some minutes).
//! `cuda_failures` does the same, for every call, on a program that uses all there is. Not covered: calls that fail after they
//! have had an effect.

use freehold_cuda::memory::driver::CudaDevice;
use freehold_cuda::{Allocation, Bytes, Error, PinnedBytes, VramHandle, VramManager, source};
use freehold_sim_control::{Live, Sim, World};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How much of the trace: the weights of one model, and two of its layers at work.
const LINES: usize = 700;
/// Divides every size.
const SCALE: u64 = 8192;
/// Bytes for weights and blocks: what is used is twice as much.
const BUDGET: u64 = 640 << 10;
const UNKNOWN: u32 = 999;

#[derive(Clone, Debug)]
struct Event {
    op: String,
    id: u64,
    bytes: u64,
}

fn trace() -> Vec<Event> {
    let packed = include_bytes!("../traces/mix_cut.csv.zst");
    let text = String::from_utf8(zstd::decode_all(&packed[..]).expect("zstd")).expect("text");
    let lines = text.lines().filter(|line| !line.starts_with('#')).skip(1).take(LINES);
    let event = |line: &str| {
        let words: Vec<&str> = line.split(',').collect();
        let number = |at: usize| words[at].parse::<u64>().expect("a number");
        Event { op: words[2].to_owned(), id: number(3), bytes: number(4).div_ceil(SCALE).max(8) }
    };
    lines.map(event).collect()
}

fn content(id: u64, bytes: u64) -> Vec<u8> {
    (0..bytes).map(|at| (at.wrapping_mul(29) ^ (at >> 7) ^ id.wrapping_mul(151)) as u8).collect()
}

/// What is alive, what failed, and what must not be.
struct Replay {
    device: Arc<CudaDevice>,
    manager: VramManager,
    weights: BTreeMap<u64, VramHandle>,
    /// With whether its bytes were written.
    blocks: BTreeMap<u64, (VramHandle, bool)>,
    errors: Vec<Error>,
    wrong: Vec<String>,
}

impl Replay {
    fn new() -> Result<Self, Error> {
        let device = CudaDevice::new(0)?;
        let manager = VramManager::builder().device(device.clone()).budget(Bytes(BUDGET)).build()?;
        let (weights, blocks) = (BTreeMap::new(), BTreeMap::new());
        Ok(Replay { device, manager, weights, blocks, errors: Vec::new(), wrong: Vec::new() })
    }

    fn note<T>(&mut self, step: Result<T, impl Into<Error>>) -> Option<T> {
        step.map_err(|error| self.errors.push(error.into())).ok()
    }

    fn step(&mut self, event: &Event) {
        match event.op.as_str() {
            "load" => self.load(event),
            "access" => self.access(event.id),
            "alloc" => self.allocate(event),
            "free" => self.free(event.id),
            _ => {}
        }
    }

    /// Every other weight's bytes come from pinned memory.
    fn load(&mut self, &Event { id, bytes, .. }: &Event) {
        let allocation = Allocation::new(Bytes(bytes)).label("weight");
        let allocation = if id % 2 == 0 {
            let pinned = PinnedBytes::copy_of(&content(id, bytes)).expect("memory");
            let device = Arc::clone(&self.device);
            self.note(device.register(&pinned)); // where it fails, staging does
            allocation.source(pinned)
        } else {
            allocation.source(source::closure(move |target: &mut [u8]| {
                target.copy_from_slice(&content(id, bytes));
                Ok::<(), freehold_cuda::SourceError>(())
            }))
        };
        let handle = self.manager.register(allocation);
        if let Some(handle) = self.note(handle) {
            self.weights.insert(id, handle);
        }
    }

    fn access(&mut self, id: u64) {
        let Some(handle) = self.weights.get(&id) else { return };
        let mut found = vec![0; handle.bytes().get() as usize];
        let read = handle.access().and_then(|access| access.read(0, &mut found));
        if self.note(read).is_some() && found != content(id, found.len() as u64) {
            self.wrong.push(format!("weight {id} has other bytes than it should"));
        }
    }

    /// Some blocks may be written out, and some of these are: what exists on the card only must not be lost.
    fn allocate(&mut self, &Event { id, bytes, .. }: &Event) {
        let allocation = Allocation::new(Bytes(bytes)).label("block");
        let allocation = if id % 3 == 0 { allocation } else { allocation.fixed() };
        let handle = self.manager.allocate(allocation);
        let Some(mut handle) = self.note(handle) else { return };
        let write =
            (id % 2 == 0).then(|| handle.access_mut().and_then(|mut access| access.write(0, &content(id, bytes))));
        let written = write.is_some_and(|write| self.note(write).is_some());
        self.blocks.insert(id, (handle, written));
    }

    fn free(&mut self, id: u64) {
        self.look(id);
        self.blocks.remove(&id);
    }

    fn look(&mut self, id: u64) {
        let Some((handle, true)) = self.blocks.get(&id) else { return };
        let mut found = vec![0; handle.bytes().get() as usize];
        let read = handle.access().and_then(|access| access.read(0, &mut found));
        if self.note(read).is_some() && found != content(id, found.len() as u64) {
            self.wrong.push(format!("block {id} has other bytes than it should"));
        }
    }

    /// Everything that lives is looked at; once more if something failed, for the call that fails may be one of these. It
    /// fails once, so nothing may fail then.
    fn finish(mut self) -> (Vec<Error>, Vec<String>) {
        let before = self.errors.len();
        self.look_at_all();
        let failed = self.errors.len();
        if failed > before {
            self.look_at_all();
        }
        self.wrong.extend(self.errors[failed..].iter().map(|error| format!("again: {error}")));
        if let Err(books) = self.manager.audit() {
            self.wrong.push(books.to_string());
        }
        (self.errors, self.wrong)
    }
}

impl Replay {
    fn look_at_all(&mut self) {
        let weights: Vec<u64> = self.weights.keys().copied().collect();
        let blocks: Vec<u64> = self.blocks.keys().copied().collect();
        weights.into_iter().for_each(|id| self.access(id));
        blocks.into_iter().for_each(|id| self.look(id));
    }
}

fn replay(trace: &[Event]) -> (Vec<Error>, Vec<String>) {
    let mut replay = match Replay::new() {
        Ok(replay) => replay,
        Err(error) => return (vec![error], Vec::new()),
    };
    trace.iter().for_each(|event| replay.step(event));
    replay.finish()
}

#[test]
fn any_call_may_fail_once() {
    let sim = Sim::late(1);
    if sim.on_card() {
        return;
    }
    let trace = trace();
    let (errors, wrong) = replay(&trace);
    assert!(errors.is_empty() && wrong.is_empty(), "{errors:?} {wrong:?}");
    let counts = sim.counts();
    let calls: u64 = counts.iter().map(|(_, count)| count).sum();
    println!("{calls} calls: {counts:?}");
    assert!(calls > 2000 && counts.len() > 20, "{calls} calls: {counts:?}");
    let every = std::env::var_os("FREEHOLD_EVERY_CALL").is_some();
    for (name, count) in &counts {
        let step = if every { 1 } else { count.div_ceil(25) as usize };
        for nth in (1..=*count).step_by(step) {
            sim.reset(World { seed: nth, ..World::default() });
            sim.fail(name, nth, UNKNOWN, false);
            let (errors, wrong) = replay(&trace);
            let told = format!("call {nth} of {name}");
            assert!(wrong.is_empty(), "{told}: {wrong:?}");
            assert!(
                errors.iter().all(|error| matches!(error, Error::Device(_) | Error::OutOfMemory { .. })),
                "{told}: {errors:?}"
            );
            assert_eq!(sim.report(), "", "{told}");
            assert!(sim.live() == Live::default() || gives_back(name), "{told}: {:?} left", sim.live());
        }
    }
}

/// Calls whose failing leaves something behind that nobody can free any more; of a context, cudarc does.
fn gives_back(name: &str) -> bool {
    let words = ["Free", "Destroy", "Unregister", "Release", "Ctx", "cuDeviceGetAttribute"];
    words.iter().any(|word| name.contains(word))
}
