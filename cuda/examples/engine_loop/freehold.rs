//! The loop's memory managed by Freehold: handles, a reservation for what must not wait, and nothing else.

use super::engine::{Memory, Plan};
use freehold_cuda::cudarc::driver::CudaStream;
use freehold_cuda::{Allocation, Bytes, DeviceMemory, HostBytes, Reservation, VramHandle, VramManager};
use std::error::Error;
use std::sync::Arc;

pub(crate) struct Managed<'a> {
    weights: Vec<VramHandle>,
    headroom: Reservation,
    manager: VramManager,
    stream: Option<&'a Arc<CudaStream>>,
}

impl<'a> Managed<'a> {
    pub(crate) fn new(
        plan: &Plan,
        device: &Arc<dyn DeviceMemory>,
        stream: Option<&'a Arc<CudaStream>>,
    ) -> Result<Self, Box<dyn Error>> {
        let manager = VramManager::builder().device(Arc::clone(device)).budget(Bytes(Plan::BUDGET)).build()?;
        let register = |(weight, content): (usize, &Arc<[u8]>)| {
            let allocation = Allocation::new(Bytes(content.len() as u64)).priority(plan.priority(weight));
            manager.register(allocation.source(HostBytes(Arc::clone(content))))
        };
        let weights = plan.weights.iter().enumerate().map(register).collect::<Result<_, _>>()?;
        Ok(Managed { weights, headroom: manager.reserve(Bytes(Plan::HEADROOM))?, manager, stream })
    }
}

impl Memory for Managed<'_> {
    type Block = VramHandle;

    fn access(&self, weight: usize) -> Result<(), Box<dyn Error>> {
        match self.stream {
            Some(stream) => drop(self.weights[weight].access_on(stream)?),
            None => drop(self.weights[weight].access()?),
        }
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> Result<VramHandle, Box<dyn Error>> {
        Ok(self.manager.allocate(Allocation::new(Bytes(bytes)).fixed().within(&self.headroom))?)
    }

    fn free(&self, block: VramHandle) {
        drop(block);
    }

    fn read(&self, weight: usize, to: &mut [u8]) -> Result<(), Box<dyn Error>> {
        Ok(self.weights[weight].access()?.read(0, to)?)
    }

    fn loads(&self) -> u64 {
        self.manager.stats().loads
    }
}
