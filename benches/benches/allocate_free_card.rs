//! Allocate and free on a card: a handle out of a region that is there, beside what the driver has: plain allocation, and its
//! own allocator in stream order, told to keep nothing and told to keep everything. Same sizes, one run, interleaved.
//!
//! `cargo bench -p freehold-benches --bench allocate_free_card` on a machine with a card. `--csv FILE` writes the rows too,
//! `--rounds N` says how many. PyTorch's allocator goes through the same sizes in `scripts/torch_allocate.py`.
//!
//! A burst allocates 32 buffers and frees them in another order, then the card is waited for: that is where the driver's allocator
//! gives back what it was told not to keep. The wait is in the figure of a pair, and not in the quantiles of the calls.
#![allow(unsafe_code, reason = "the driver's own allocators are raw calls")]

use freehold_cuda::cudarc::driver::{CudaStream, DriverError, result, sys};
use freehold_cuda::memory::driver::CudaDevice;
use freehold_cuda::{Allocation, Bytes, DeviceMemory, VramHandle, VramManager};
use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BURST: usize = 32;
const SIZES: [(&str, &[u64]); 5] = [
    ("4 KiB", &[4 << 10]),
    ("64 KiB", &[64 << 10]),
    ("1 MiB", &[1 << 20]),
    ("16 MiB", &[16 << 20]),
    // As a decoder's layers have them.
    ("mixed", &[9_216, 37_888, 151_552, 602_112, 1_310_720, 4_816_896, 11_010_048, 22_020_096]),
];

/// Whose call is timed. A buffer is a handle of ours or an address of the driver's.
trait Allocator {
    type Buffer;
    fn allocate(&self, bytes: u64) -> Result<Self::Buffer, Box<dyn Error>>;
    fn free(&self, buffer: Self::Buffer) -> Result<(), Box<dyn Error>>;
    fn end_burst(&self) -> Result<(), Box<dyn Error>>;
}

struct Freehold(VramManager);

impl Allocator for Freehold {
    type Buffer = VramHandle;
    fn allocate(&self, bytes: u64) -> Result<VramHandle, Box<dyn Error>> {
        Ok(self.0.allocate(Allocation::new(Bytes(bytes)).fixed())?)
    }
    fn free(&self, buffer: VramHandle) -> Result<(), Box<dyn Error>> {
        drop(buffer);
        Ok(())
    }
    fn end_burst(&self) -> Result<(), Box<dyn Error>> {
        Ok(())
    }
}

/// `cuMemAlloc` and `cuMemFree`. The context is bound.
struct Plain;

impl Allocator for Plain {
    type Buffer = u64;
    fn allocate(&self, bytes: u64) -> Result<u64, Box<dyn Error>> {
        // SAFETY: the context is bound; it is freed in `free`.
        Ok(unsafe { result::malloc_sync(bytes as usize) }?)
    }
    fn free(&self, buffer: u64) -> Result<(), Box<dyn Error>> {
        // SAFETY: it came from `allocate`.
        Ok(unsafe { result::free_sync(buffer) }?)
    }
    fn end_burst(&self) -> Result<(), Box<dyn Error>> {
        Ok(())
    }
}

/// `cuMemAllocAsync` and `cuMemFreeAsync` on one stream. The context is bound.
struct Ordered(Arc<CudaStream>);

impl Ordered {
    /// Says how many bytes the driver's allocator may keep when the card is waited for.
    fn keep(card: &CudaDevice, bytes: u64) -> Result<(), DriverError> {
        let (mut pool, mut bytes) = (std::ptr::null_mut(), bytes);
        // SAFETY: the card's own number, and a place for the answer.
        unsafe { sys::cuDeviceGetDefaultMemPool(&raw mut pool, card.context().cu_device()) }.result()?;
        let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        // SAFETY: this attribute's value is a number of 64 bits.
        unsafe { sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut bytes).cast()) }.result()?;
        // SAFETY: nothing of it is in use.
        unsafe { sys::cuMemPoolTrimTo(pool, 0) }.result()
    }
}

impl Allocator for Ordered {
    type Buffer = u64;
    fn allocate(&self, bytes: u64) -> Result<u64, Box<dyn Error>> {
        // SAFETY: the stream lives; the memory is freed on the same one.
        Ok(unsafe { result::malloc_async(self.0.cu_stream(), bytes as usize) }?)
    }
    fn free(&self, buffer: u64) -> Result<(), Box<dyn Error>> {
        // SAFETY: it came from `allocate`, on this stream.
        Ok(unsafe { result::free_async(buffer, self.0.cu_stream()) }?)
    }
    fn end_burst(&self) -> Result<(), Box<dyn Error>> {
        Ok(self.0.synchronize()?)
    }
}

/// What one contender's calls took on one set of sizes.
#[derive(Default)]
struct Times {
    allocate: Vec<Duration>,
    free: Vec<Duration>,
    all: Duration,
}

impl Times {
    fn burst(&mut self, of: &impl Allocator, sizes: &[u64]) -> Result<(), Box<dyn Error>> {
        let begun = Instant::now();
        let mut buffers = Vec::with_capacity(BURST);
        for &bytes in sizes.iter().cycle().take(BURST) {
            let call = Instant::now();
            buffers.push(Some(of.allocate(bytes)?));
            self.allocate.push(call.elapsed());
        }
        for turn in 0..BURST {
            let buffer = buffers[turn * 13 % BURST].take().expect("each once: 13 and 32 have no common divisor");
            let call = Instant::now();
            of.free(buffer)?;
            self.free.push(call.elapsed());
        }
        of.end_burst()?;
        self.all += begun.elapsed();
        Ok(())
    }

    fn row(&mut self, contender: &str, sizes: &str) -> Vec<String> {
        let pair = self.all.as_nanos() as u64 / self.allocate.len() as u64;
        let mut figures = vec![pair];
        for calls in [&mut self.allocate, &mut self.free] {
            calls.sort_unstable();
            let at = |share: f64| calls[((calls.len() - 1) as f64 * share) as usize].as_nanos() as u64;
            figures.extend([at(0.5), at(0.99), at(0.999)]);
        }
        [contender.to_owned(), sizes.to_owned()].into_iter().chain(figures.iter().map(u64::to_string)).collect()
    }
}

const HEAD: [&str; 9] = ["contender", "sizes", "ns a pair", "allocate p50", "p99", "p99.9", "free p50", "p99", "p99.9"];

fn measure(card: &Arc<CudaDevice>, rounds: usize) -> Result<Vec<Vec<String>>, Box<dyn Error>> {
    card.context().bind_to_thread()?;
    let ordered = Ordered(card.context().new_stream()?);
    let budget = Bytes((1 << 30).min(card.info()?.free.get() / 2));
    let mut rows = Vec::new();
    for (name, sizes) in SIZES {
        if sizes.iter().cycle().take(BURST).sum::<u64>() > budget.get() {
            continue; // a small card, or a simulated one
        }
        let freehold = Freehold(VramManager::builder().device(card.clone()).budget(budget).build()?);
        let mut times: [Times; 4] = Default::default();
        // The first round warms everybody up and is thrown away.
        for round in 0..=rounds {
            if round == 1 {
                times = Default::default();
            }
            times[0].burst(&freehold, sizes)?;
            times[1].burst(&Plain, sizes)?;
            Ordered::keep(card, 0)?;
            times[2].burst(&ordered, sizes)?;
            Ordered::keep(card, u64::MAX)?;
            // It keeps what the burst before left it: the first one of the two is its own warming up.
            Times::default().burst(&ordered, sizes)?;
            times[3].burst(&ordered, sizes)?;
        }
        Ordered::keep(card, 0)?;
        let names = ["freehold", "cuMemAlloc", "cuMemAllocAsync, keeps 0", "cuMemAllocAsync, keeps all"];
        rows.extend(names.iter().zip(&mut times).map(|(contender, times)| times.row(contender, name)));
    }
    Ok(rows)
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().collect();
    let value = |word: &str| words.iter().position(|found| found == word).and_then(|at| words.get(at + 1));
    let rounds = value("--rounds").map_or(Ok(200), |text| text.parse())?;
    let card = match CudaDevice::new(0) {
        Ok(card) => card,
        Err(reason) => {
            println!("nothing to do: {reason}");
            return Ok(());
        }
    };
    let rows = measure(&card, rounds)?;
    println!("{:28}{:>8}{:>11}  nanoseconds a call", "", "", "");
    for row in std::iter::once(&HEAD.map(String::from).to_vec()).chain(&rows) {
        let figures: String = row[2..].iter().map(|cell| format!("{cell:>13}")).collect();
        println!("{:28}{:>8}{figures}", row[0], row[1]);
    }
    if let Some(file) = value("--csv") {
        let lines: Vec<String> = std::iter::once(HEAD.join(","))
            .chain(rows.iter().map(|row| row.iter().map(|cell| cell.replace(',', ";")).collect::<Vec<_>>().join(",")))
            .collect();
        fs::write(file, lines.join("\n") + "\n")?;
    }
    Ok(())
}
