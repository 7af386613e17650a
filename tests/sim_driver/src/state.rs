//! The world: everything this driver knows, behind one mutex, and the gate through which every call enters.
//!
//! The gate counts calls by name and is where a test makes one of them fail, before it has any effect.

use crate::clock::{Clock, HOST};
use crate::kernels::Kernel;
use crate::memory::Memory;
use crate::shadow::Shadow;
use crate::stream::{Event, Stream};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

/// A `CUresult`.
pub(crate) type Code = u32;
pub(crate) const INVALID_VALUE: Code = 1;
pub(crate) const OUT_OF_MEMORY: Code = 2;
pub(crate) const NOT_INITIALIZED: Code = 3;
pub(crate) const NO_DEVICE: Code = 100;
pub(crate) const INVALID_DEVICE: Code = 101;
pub(crate) const INVALID_CONTEXT: Code = 201;
pub(crate) const INVALID_PTX: Code = 218;
pub(crate) const INVALID_HANDLE: Code = 400;
pub(crate) const NOT_FOUND: Code = 500;
pub(crate) const NOT_READY: Code = 600;
pub(crate) const ILLEGAL_ADDRESS: Code = 700;
pub(crate) const ALREADY_REGISTERED: Code = 712;
pub(crate) const CAPTURE_UNSUPPORTED: Code = 900;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) initialised: bool,
    /// Pieces of work that were enqueued, by whose numbers reports speak.
    pub(crate) works: u64,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) rule: Option<Rule>,
    pub(crate) sticky: Option<Code>,
    pub(crate) host: Clock,
    pub(crate) memory: Memory,
    pub(crate) shadow: Shadow,
    /// The first ones are the devices' default streams.
    pub(crate) streams: Vec<Stream>,
    pub(crate) events: BTreeMap<u64, Event>,
    pub(crate) modules: BTreeMap<u64, Vec<Kernel>>,
    pub(crate) contexts: Vec<u64>,
    pub(crate) next_handle: u64,
    pub(crate) host_waits: u64,
    pub(crate) reports: Vec<String>,
    random: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) devices: usize,
    pub(crate) bytes: u64,
    /// Bytes of each device that some other process holds.
    pub(crate) foreign: u64,
    pub(crate) seed: u64,
    /// Work runs only when the host waits for it.
    pub(crate) late: bool,
    /// Which API the driver says it speaks.
    pub(crate) version: i32,
}

/// CUDA 12.8.
pub(crate) const VERSION: i32 = 12080;

/// Which call is to fail, and how.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    /// Counts down with every call of that name; at 0 the call fails.
    pub(crate) after: u64,
    pub(crate) code: Code,
    pub(crate) sticky: bool,
}

pub(crate) static WORLD: Mutex<Option<World>> = Mutex::new(None);

/// The world, for the length of one call.
pub(crate) struct Entered(MutexGuard<'static, Option<World>>);

impl std::ops::Deref for Entered {
    type Target = World;
    fn deref(&self) -> &World {
        self.0.as_ref().expect("made when it was entered")
    }
}

impl std::ops::DerefMut for Entered {
    fn deref_mut(&mut self) -> &mut World {
        self.0.as_mut().expect("made when it was entered")
    }
}

/// The world, whatever its state: for the control calls.
pub(crate) fn world() -> Entered {
    let mut world = WORLD.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    world.get_or_insert_with(|| World::new(Config::from_environment()));
    Entered(world)
}

/// The gate of every driver call.
pub(crate) fn enter(name: &'static str) -> Result<Entered, Code> {
    let mut world = world();
    *world.counts.entry(name).or_default() += 1;
    if let Some(code) = world.sticky {
        return Err(code);
    }
    if let Some(code) = world.injected(name) {
        return Err(code);
    }
    let needs_no_init = matches!(name, "cuInit" | "cuDriverGetVersion");
    if world.initialised || needs_no_init { Ok(world) } else { Err(NOT_INITIALIZED) }
}

impl Config {
    /// For programs that know nothing of this driver: `FREEHOLD_SIM_{DEVICES,BYTES,SEED,LATE,VERSION}`.
    fn from_environment() -> Self {
        let number =
            |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
        Config {
            devices: number("FREEHOLD_SIM_DEVICES", 1) as usize,
            bytes: number("FREEHOLD_SIM_BYTES", 1 << 30),
            foreign: 0,
            seed: number("FREEHOLD_SIM_SEED", 0),
            late: number("FREEHOLD_SIM_LATE", 0) != 0,
            version: number("FREEHOLD_SIM_VERSION", VERSION as u64) as i32,
        }
    }
}

impl World {
    fn new(config: Config) -> Self {
        World {
            initialised: false,
            works: 0,
            counts: BTreeMap::new(),
            rule: None,
            sticky: None,
            host: Clock::default(),
            memory: Memory::new(),
            shadow: Shadow::default(),
            streams: default_streams(&config),
            events: BTreeMap::new(),
            modules: BTreeMap::new(),
            contexts: vec![0; config.devices],
            next_handle: 0x51_0000,
            host_waits: 0,
            reports: Vec::new(),
            random: config.seed,
            config,
        }
    }

    /// A new world. Addresses and handles go on where they were: what is left of the old one is told apart.
    pub(crate) fn reset(&mut self, config: Config) {
        let mut memory = std::mem::replace(&mut self.memory, Memory::new());
        memory.clear();
        *self = World { memory, next_handle: self.next_handle, ..World::new(config) };
    }

    fn injected(&mut self, name: &str) -> Option<Code> {
        let rule = self.rule.as_mut().filter(|rule| rule.name == name)?;
        if rule.after > 1 {
            rule.after -= 1;
            return None;
        }
        let (code, sticky) = (rule.code, rule.sticky);
        self.rule = None;
        self.sticky = sticky.then_some(code);
        Some(code)
    }

    /// The next number of the seed's sequence, below `bound` (splitmix64).
    pub(crate) fn random(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ self.random >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) % bound.max(1)
    }

    pub(crate) fn handle(&mut self) -> u64 {
        self.next_handle += 16;
        self.next_handle
    }

    /// The host's own clock goes on: what it does from here on is after what it did.
    pub(crate) fn host_step(&mut self) {
        self.host.tick(HOST);
    }
}

fn default_streams(config: &Config) -> Vec<Stream> {
    (0..config.devices).map(|device| Stream::new(device, false)).collect()
}
