//! The world: everything this driver knows, behind one mutex, and the gate through which every call enters.
//!
//! The gate counts calls by name and is where a test makes one of them fail, before it has any effect.

use crate::clock::{Clock, HOST};
use crate::kernels::Kernel;
use crate::memory::Memory;
use crate::shadow::{Kind, Shadow, Touch};
use crate::stream::{Event, Point, Stream, Work};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, Once};
use std::time::Duration;

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

static WORLD: Mutex<Option<World>> = Mutex::new(None);
static WORK: Condvar = Condvar::new();

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

    /// Checks work, orders it, notes what it touches, and queues it.
    pub(crate) fn enqueue(
        &mut self,
        stream: usize,
        what: &'static str,
        touches: &[(Range<u64>, Kind)],
        work: Work,
    ) -> Result<Point, Code> {
        if self.streams[stream].capturing.is_some() {
            // A card takes it into the graph, and does none of it.
            self.report(format!("capture: {what} was given to stream {stream} while a graph was captured on it"));
            return Err(CAPTURE_UNSUPPORTED);
        }
        self.works += 1;
        self.order_with_default(stream);
        let host = self.host.clone();
        let clock = &mut self.streams[stream].clock;
        clock.join(&host);
        let stamp = clock.tick(stream + 1);
        let (clock, touch) = (clock.clone(), Touch { stamp, work: self.works, what });
        for (bytes, kind) in touches {
            if let Some(conflict) = self.shadow.access(bytes.clone(), *kind, touch, &clock) {
                self.report_conflict(touch, *kind, &conflict);
            }
        }
        let point = self.push(stream, work);
        self.wake_device();
        Ok(point)
    }

    /// The default stream and the blocking streams of a device wait for each other.
    fn order_with_default(&mut self, stream: usize) {
        let device = self.streams[stream].device;
        let others: Vec<usize> = if stream == device {
            let blocking = |other: &usize| self.streams[*other].blocking && self.streams[*other].device == device;
            (0..self.streams.len()).filter(blocking).collect()
        } else if self.streams[stream].blocking {
            vec![device]
        } else {
            Vec::new()
        };
        for other in others {
            let (point, clock) = (self.streams[other].point(other), self.streams[other].clock.clone());
            self.streams[stream].clock.join(&clock);
            self.push(stream, Work::Wait(point));
        }
    }

    /// An access outside the memory there is: reported, and refused as the call's own error.
    pub(crate) fn check_device(&mut self, what: &str, bytes: &Range<u64>) -> Result<(), Code> {
        self.memory.check(bytes.start, bytes.end - bytes.start).map_err(|fault| {
            self.report_fault(what, fault);
            INVALID_VALUE
        })
    }

    /// The host's own clock goes on: what it does from here on is after what it did.
    pub(crate) fn host_step(&mut self) {
        self.host.tick(HOST);
    }

    fn wake_device(&self) {
        static DEVICE: Once = Once::new();
        if !self.config.late {
            DEVICE.call_once(|| drop(std::thread::Builder::new().name("sim device".into()).spawn(device)));
            WORK.notify_one();
        }
    }
}

fn default_streams(config: &Config) -> Vec<Stream> {
    (0..config.devices).map(|device| Stream::new(device, false)).collect()
}

/// The device's own thread: runs a few pieces of work at a time, then lets the host go on for a while.
fn device() {
    let mut guard = WORLD.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    loop {
        let pause = match guard.as_mut().filter(|world| !world.config.late) {
            Some(world) => {
                let pieces = world.random(4);
                let ran = (0..pieces).filter(|_| world.run_one()).count() as u64;
                (ran == pieces).then(|| world.random(100))
            }
            None => None,
        };
        guard = match pause {
            Some(micros) => {
                drop(guard);
                std::thread::sleep(Duration::from_micros(micros));
                WORLD.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
            }
            None => WORK.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner),
        };
    }
}
