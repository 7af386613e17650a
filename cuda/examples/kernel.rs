//! A kernel on a buffer that was evicted: the manager brings it back, and the launch finds it complete.
//!
//! `cargo run --example kernel` on a machine with a card; or anywhere with the simulated driver:
//! `cargo build -p freehold-sim-driver` and then
//! `LD_PRELOAD=target/debug/libfreehold_sim_driver.so cargo run --example kernel`.
//! The kernels are text (`kernels.ptx`, beside this file), written by hand; the driver compiles them for its card.
#![allow(unsafe_code, reason = "a kernel is launched on an address")]

use freehold_cuda::cudarc::driver::{LaunchConfig, PushKernelArg};
use freehold_cuda::cudarc::nvrtc::Ptx;
use freehold_cuda::memory::driver::CudaDevice;
use freehold_cuda::{Allocation, Bytes, PinnedBytes, VramManager};
use std::error::Error;
use std::sync::Arc;

const COUNT: u64 = 1 << 20;
const BYTES: Bytes = Bytes(4 * COUNT);

fn main() -> Result<(), Box<dyn Error>> {
    let device = match CudaDevice::new(0) {
        Ok(device) => device,
        Err(reason) => {
            println!("nothing to do: {reason}");
            return Ok(());
        }
    };
    let stream = device.context().new_stream()?;
    let module = device.context().load_module(Ptx::from_src(include_str!("kernels.ptx")))?;
    let add = module.load_function("add")?;

    // Room for one of the two: using the one evicts the other.
    let manager = VramManager::builder().device(device.clone()).budget(BYTES).build()?;
    let mut numbers = PinnedBytes::zeroed(BYTES)?;
    let words = numbers.as_mut_slice().chunks_exact_mut(4);
    words.zip(0_u32..).for_each(|(word, number)| word.copy_from_slice(&number.to_le_bytes()));
    device.register(&numbers)?;
    let numbers = Arc::new(numbers);
    let mut sums = manager.allocate(Allocation::new(BYTES).label("sums").source(numbers.clone()))?;
    let other = manager.register(Allocation::new(BYTES).label("other").source(numbers))?;

    for turn in 1..=3_u32 {
        drop(other.access_on(&stream)?);
        assert!(!sums.is_resident(), "the other took the room");
        // No flag, no branch: an access is an access. What was added so far was written out, and comes back from there.
        let access = sums.access_mut_on(&stream)?;
        let launch = LaunchConfig::for_num_elems(COUNT as u32);
        // SAFETY: the kernel takes the address of `COUNT` words, a value and the count; the guard lives past the launch.
        unsafe { stream.launch_builder(&add).arg(&access.device_ptr()).arg(&turn).arg(&COUNT).launch(launch) }?;
    }

    let mut bytes = vec![0; BYTES.get() as usize];
    sums.access()?.read(0, &mut bytes)?;
    let right = bytes.chunks_exact(4).zip(0_u32..).all(|(word, number)| word == (number + 6).to_le_bytes());
    let stats = manager.stats();
    println!(
        "{COUNT} sums {}; {} loads, {} evictions",
        if right { "right" } else { "WRONG" },
        stats.loads,
        stats.evictions
    );
    manager.audit()?;
    if right { Ok(()) } else { Err("the sums are wrong".into()) }
}
