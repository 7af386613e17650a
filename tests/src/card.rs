//! A card in tests: a plugin with a manager and kernels on it, and what a buffer must hold. Runs on the simulated driver, and
//! on a card.
#![allow(unsafe_code, reason = "kernels are launched on addresses")]

use freehold_cuda::cudarc::driver::{
    CudaFunction, CudaModule, CudaSlice, CudaStream, DevicePtr, LaunchConfig, PushKernelArg,
};
use freehold_cuda::memory::driver::CudaDevice;
use freehold_cuda::{Allocation, Bytes, HostBytes, PinnedBytes, VramHandle, VramManager};
use freehold_sim_control::{Live, Sim};
use std::sync::Arc;

/// Elements of a buffer.
pub const COUNT: u64 = 4096;
/// How long a buffer is; a manager has room for as many as a test says.
pub const BYTES: u64 = 4 * COUNT;

/// Somebody who uses a card: a device, a manager of its own, and kernels.
#[derive(Debug)]
pub struct Plugin {
    /// The card.
    pub device: Arc<CudaDevice>,
    /// Its manager.
    pub manager: VramManager,
    module: Arc<CudaModule>,
}

impl Plugin {
    /// A manager with room for `buffers` of them.
    #[must_use]
    pub fn new(buffers: u64) -> Self {
        let device = CudaDevice::new(0).expect("a card");
        let builder = VramManager::builder().device(device.clone()).budget(Bytes(buffers * BYTES));
        let ptx = freehold_cuda::cudarc::nvrtc::Ptx::from_src(include_str!("../../cuda/examples/kernels.ptx"));
        let module = device.context().load_module(ptx).expect("kernels");
        Plugin { manager: builder.build().expect("a manager"), device, module }
    }

    /// A stream of its own.
    #[must_use]
    pub fn stream(&self) -> Arc<CudaStream> {
        self.device.context().new_stream().expect("a stream")
    }

    /// A kernel by its name.
    #[must_use]
    pub fn kernel(&self, name: &str) -> CudaFunction {
        self.module.load_function(name).expect("a kernel")
    }

    /// A buffer whose bytes come from ordinary memory.
    #[must_use]
    pub fn sourced(&self, seed: u32) -> Allocation {
        Allocation::new(Bytes(BYTES)).source(HostBytes(bytes(seed).into()))
    }

    /// A buffer whose bytes come from memory that the card copies from by itself.
    #[must_use]
    pub fn pinned(&self, seed: u32) -> Allocation {
        let source = PinnedBytes::copy_of(&bytes(seed)).expect("memory");
        self.device.register(&source).expect("the driver takes it");
        Allocation::new(Bytes(BYTES)).source(source)
    }

    /// A handle.
    #[must_use]
    pub fn allocate(&self, allocation: Allocation) -> VramHandle {
        self.manager.allocate(allocation).expect("room")
    }

    /// Launches a kernel that reads a buffer and writes what it reads to memory of the program's own.
    #[must_use]
    pub fn read_later(&self, handle: &VramHandle, stream: &Arc<CudaStream>) -> CudaSlice<u8> {
        let target = stream.alloc_zeros::<u8>(BYTES as usize).expect("memory");
        let access = handle.access_on(stream).expect("content");
        let (to, _recorded) = target.device_ptr(stream);
        // SAFETY: the kernel takes two addresses of `COUNT` elements each.
        unsafe {
            stream.launch_builder(&self.kernel("copy")).arg(&to).arg(&access.device_ptr()).arg(&COUNT).launch(grid())
        }
        .expect("a launch");
        drop(_recorded);
        target
    }

    /// Launches a kernel that fills a buffer.
    pub fn fill_later(&self, handle: &mut VramHandle, stream: &Arc<CudaStream>, value: u32) {
        let count = handle.bytes().get() / 4;
        let access = handle.access_mut_on(stream).expect("content");
        // SAFETY: the kernel takes an address, and how many elements there are.
        unsafe {
            stream
                .launch_builder(&self.kernel("fill"))
                .arg(&access.device_ptr())
                .arg(&value)
                .arg(&count)
                .launch(LaunchConfig::for_num_elems(count as u32))
        }
        .expect("a launch");
    }

    /// Ends with books that agree, nothing found and nothing left.
    pub fn finish(self, sim: &Sim) {
        self.manager.audit().expect("the books agree");
        drop(self);
        assert_eq!((sim.report().as_str(), sim.live()), ("", Live::default()));
    }
}

/// The bytes of a buffer, of which a failure prints the first few.
#[derive(PartialEq)]
pub struct Content(pub Vec<u8>);

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes beginning with {:?}", self.0.len(), &self.0[..8.min(self.0.len())])
    }
}

/// As many threads as a buffer has elements.
#[must_use]
pub fn grid() -> LaunchConfig {
    LaunchConfig::for_num_elems(COUNT as u32)
}

/// Other bytes for each seed.
#[must_use]
pub fn bytes(seed: u32) -> Vec<u8> {
    (0..COUNT as u32).flat_map(|at| (at.wrapping_mul(2_654_435_761) ^ seed).to_le_bytes()).collect()
}

/// What a buffer holds that came from the source of this seed.
#[must_use]
pub fn source(seed: u32) -> Content {
    Content(bytes(seed))
}

/// What a buffer holds that was filled.
#[must_use]
pub fn filled(value: u32) -> Content {
    Content((0..COUNT).flat_map(|_| value.to_le_bytes()).collect())
}

/// What a copy of the program's own holds once its stream is through.
#[must_use]
pub fn landed(stream: &Arc<CudaStream>, copy: &CudaSlice<u8>) -> Content {
    let landed = stream.clone_dtoh(copy).expect("a copy");
    stream.synchronize().expect("a stream ends");
    Content(landed)
}

/// What a buffer holds.
#[must_use]
pub fn content(handle: &VramHandle) -> Content {
    let mut content = vec![0; BYTES as usize];
    handle.access().expect("content").read(0, &mut content).expect("a copy");
    Content(content)
}

/// Runs a test under many seeds of the simulated driver.
pub fn seeds(test: impl Fn(&Sim)) {
    (0..20).for_each(|seed| test(&Sim::late(seed)));
}
