//! The world of a behaviour test: one of three devices, a clock that ticks when asked, an onlooker that remembers.
//!
//! Every behaviour is shown on both kinds of device, memory that the host can follow and memory that it cannot, by the same
//! body: [`on_both_devices`]. The second kind is tried twice: as the far device, which watches each call, and as a card
//! under the simulated driver, where work runs as late as the program allows and unordered accesses are reported.

use crate::far_device::FarDevice;
use freehold_cuda::memory::driver::CudaDevice;
use freehold_cuda::{
    Allocation, Bytes, Clock, DeviceMemory, Event, HostBytes, HostDevice, Observer, VramHandle, VramManager,
    VramManagerBuilder,
};
use freehold_sim_control::Sim;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// One granule.
pub const U: u64 = 512;

/// `n` granules.
#[must_use]
pub fn units(n: u64) -> Bytes {
    Bytes(n * U)
}

/// One device and what looks on.
#[derive(Debug)]
pub struct World {
    /// The device.
    pub device: Arc<dyn DeviceMemory>,
    /// The same, where it is the far one.
    pub far: Option<Arc<FarDevice>>,
    /// What happened.
    pub recorder: Arc<Recorder>,
    /// The driver under the card, where it is one. Last: the turn with it ends when the device is gone.
    pub sim: Option<Sim>,
}

/// Runs the same claim on ordinary memory and on memory that the host cannot follow.
pub fn on_both_devices(claim: impl Fn(&World)) {
    // Made one by one: whoever has the card has a turn with it.
    for world in [World::host, World::far, World::card] {
        let world = world();
        println!("on {:?}", world.device.info().map(|info| info.name));
        claim(&world);
        world.check();
    }
}

impl World {
    /// Ordinary memory.
    #[must_use]
    pub fn host() -> World {
        World { device: Arc::new(HostDevice::new()), far: None, recorder: Arc::default(), sim: None }
    }

    /// Memory that the host cannot follow.
    #[must_use]
    pub fn far() -> World {
        let far = Arc::new(FarDevice::with_limit(Bytes(1 << 40)));
        World { device: far.clone(), far: Some(far), recorder: Arc::default(), sim: None }
    }

    /// A card, under the simulated driver.
    ///
    /// # Panics
    /// When the simulated driver was not built.
    #[must_use]
    pub fn card() -> World {
        let sim = Sim::with(freehold_sim_control::World { seed: 1, bytes: 1 << 40, ..Default::default() });
        let device = CudaDevice::new(0).expect("a card");
        World { device, far: None, recorder: Arc::default(), sim: Some(sim) }
    }

    /// A manager of `capacity` granules of this device.
    #[must_use]
    pub fn manager(&self, capacity: u64) -> VramManager {
        self.builder(capacity).build().expect("the device has room")
    }

    /// The same, to be described further.
    pub fn builder(&self, capacity: u64) -> VramManagerBuilder {
        let clock = Arc::new(TickingClock::default());
        VramManager::builder()
            .device(self.device.clone())
            .budget(units(capacity))
            .granule(Bytes(U))
            .clock(clock)
            .observer(self.recorder.clone())
    }

    /// # Panics
    /// When the device saw a promise broken.
    pub fn check(&self) {
        if let Some(far) = &self.far {
            far.check();
        }
        if let Some(sim) = &self.sim {
            assert_eq!(sim.report(), "", "the driver saw something");
        }
    }
}

/// Each question is a tick of its own: no two uses tie.
#[derive(Debug, Default)]
pub struct TickingClock(AtomicU64);

impl Clock for TickingClock {
    fn tick(&self) -> u64 {
        self.0.fetch_add(1, Relaxed) + 1 // Relaxed: a number that is given once
    }
}

/// An observer that remembers everything.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<Event>>);

impl Observer for Recorder {
    fn event(&self, event: &Event) {
        self.0.lock().expect("nobody panics here").push(event.clone());
    }
}

impl Recorder {
    /// What happened since the last question.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().expect("nobody panics here"))
    }

    /// The ids of those that left since the last question, in the order of leaving. Forgets everything else.
    pub fn evicted(&self) -> Vec<u64> {
        let evicted = |event: &Event| if let Event::Evicted { id, .. } = event { Some(*id) } else { None };
        self.take().iter().filter_map(evicted).collect()
    }
}

/// Bytes that are recognisable as number `seed`'s: no two seeds share 8 bytes at any place.
#[must_use]
pub fn content(seed: u64, bytes: Bytes) -> Vec<u8> {
    let words = (0..bytes.get().div_ceil(8)).map(|word| mix(seed << 32 | word).to_le_bytes());
    let mut content: Vec<u8> = words.flatten().collect();
    content.truncate(bytes.get() as usize);
    content
}

/// A bijection of 64 bits that leaves no pattern (splitmix64's).
fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A request for `bytes` whose source gives `content(seed)`.
#[must_use]
pub fn sourced(seed: u64, bytes: Bytes) -> Allocation {
    Allocation::new(bytes).label(format!("number {seed}")).source(HostBytes(content(seed, bytes).into()))
}

/// A loaded entry of `size` granules.
///
/// # Panics
/// When it gets no memory.
pub fn load(manager: &VramManager, seed: u64, size: u64) -> VramHandle {
    manager.allocate(sourced(seed, units(size))).expect("it fits once others have left")
}

/// An entry without a source, which was given `content(seed)` by hand.
///
/// # Panics
/// When it gets no memory.
pub fn written(manager: &VramManager, seed: u64, allocation: Allocation) -> VramHandle {
    let mut handle = manager.allocate(allocation).expect("it fits once others have left");
    write(&mut handle, seed);
    handle
}

/// Writes `content(seed)` over the whole of it.
///
/// # Panics
/// When it cannot be accessed.
pub fn write(handle: &mut VramHandle, seed: u64) {
    let content = content(seed, handle.bytes());
    handle.access_mut().expect("it can be brought back").write(0, &content).expect("it is in range");
}

/// The whole content, read through the device.
///
/// # Panics
/// When it cannot be accessed.
#[must_use]
pub fn read(handle: &VramHandle) -> Vec<u8> {
    let access = handle.access().unwrap_or_else(|error| panic!("{:?}: {error}", handle.label()));
    let mut bytes = vec![0xEE; handle.bytes().get() as usize];
    access.read(0, &mut bytes).expect("it is in range");
    if let Some(seen) = access.as_host_slice() {
        assert_eq!(seen, bytes, "the host's view and the device's copy are one");
    }
    bytes
}

/// # Panics
/// Where the content is not `content(seed)`, naming the first wrong byte.
pub fn assert_holds(handle: &VramHandle, seed: u64) {
    let (found, right) = (read(handle), content(seed, handle.bytes()));
    let wrong = found.iter().zip(&right).position(|(found, right)| found != right);
    assert_eq!(wrong, None, "first wrong byte of {:?} with content {seed}", handle.label());
}
