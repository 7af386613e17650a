//! The test's side of the simulated CUDA driver: loads it before anybody asks for the real one, and speaks with it.
//!
//! ```no_run
//! let sim = freehold_sim_control::Sim::late(7); // work runs only when the host waits for it
//! // ... use the driver ...
//! assert_eq!(sim.report(), "");
//! ```
//!
//! With `FREEHOLD_ON_CARD=1` nothing is loaded: the same test then runs on the machine's own driver, what it sets here
//! has no effect, and what it reads is empty.
#![allow(unsafe_code, reason = "the control calls are C functions of a loaded library: S1")]
// S1  A symbol named `sim_*` of our library has the signature that `control.rs` of the driver gives it.

use libloading::Library;
use parking_lot::{Mutex, MutexGuard};
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::OnceLock;

/// What the file is called. Not `libcuda.so`: a build folder stands on the library path of what cargo runs.
const FILE: &str = "libfreehold_sim_driver.so";

/// One test's turn with the simulated driver: there is one driver in a process, so tests take turns.
#[derive(Debug)]
pub struct Sim {
    library: Option<&'static Library>,
    _turn: MutexGuard<'static, ()>,
}

/// A world to begin with.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// Picks what runs when.
    pub seed: u64,
    /// Work runs only when the host waits for it.
    pub late: bool,
    /// How many devices there are.
    pub devices: u32,
    /// How much memory each has.
    pub bytes: u64,
}

impl Default for World {
    fn default() -> Self {
        World { seed: 0, late: true, devices: 1, bytes: 1 << 30 }
    }
}

/// What is still there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Device regions.
    pub regions: u64,
    /// Pinned host regions.
    pub pinned: u64,
    /// Streams, the default ones left out.
    pub streams: u64,
    /// Events.
    pub events: u64,
    /// Times a primary context is retained.
    pub contexts: u64,
}

impl Sim {
    /// A world in which work runs as late as the program allows.
    #[must_use]
    pub fn late(seed: u64) -> Sim {
        Sim::with(World { seed, ..World::default() })
    }

    /// A world with a device thread that runs work at its own pace.
    #[must_use]
    pub fn free_running(seed: u64) -> Sim {
        Sim::with(World { seed, late: false, ..World::default() })
    }

    /// A world as described.
    #[must_use]
    pub fn with(world: World) -> Sim {
        static TURN: Mutex<()> = Mutex::new(());
        let sim = Sim { _turn: TURN.lock(), library: library() };
        sim.reset(world);
        sim
    }

    /// Begins anew: what is left of the world before is forgotten, and told apart from what comes.
    pub fn reset(&self, world: World) {
        type Reset = unsafe extern "C" fn(u64, u32, u32, u64);
        if let Some(library) = self.library {
            // SAFETY: S1.
            let reset = unsafe { library.get::<Reset>(b"sim_reset\0") }.expect("a simulated driver");
            // SAFETY: S1. Numbers only.
            unsafe { reset(world.seed, world.late.into(), world.devices, world.bytes) };
        }
    }

    /// Whether the driver is the machine's own.
    #[must_use]
    pub fn on_card(&self) -> bool {
        self.library.is_none()
    }

    /// The `nth` call of `name` from now on (1 is the next) fails with `code`; `sticky`: and every call after it.
    pub fn fail(&self, name: &str, nth: u64, code: u32, sticky: bool) {
        type Fail = unsafe extern "C" fn(*const std::ffi::c_char, u64, u32, u32);
        let name = CString::new(name).expect("a function's name");
        if let Some(library) = self.library {
            // SAFETY: S1.
            let fail = unsafe { library.get::<Fail>(b"sim_fail\0") }.expect("a simulated driver");
            // SAFETY: S1. The name ends, and lives during the call.
            unsafe { fail(name.as_ptr(), nth, code, sticky.into()) };
        }
    }

    /// Every call fails with `code` from now on; with 0 none does any more.
    pub fn break_with(&self, code: u32) {
        type Break = unsafe extern "C" fn(u32);
        if let Some(library) = self.library {
            // SAFETY: S1.
            let break_with = unsafe { library.get::<Break>(b"sim_break\0") }.expect("a simulated driver");
            // SAFETY: S1. Numbers only.
            unsafe { break_with(code) };
        }
    }

    /// Lets another process hold this much of each device.
    pub fn foreign(&self, bytes: u64) {
        type Foreign = unsafe extern "C" fn(u64);
        if let Some(library) = self.library {
            // SAFETY: S1.
            let foreign = unsafe { library.get::<Foreign>(b"sim_foreign\0") }.expect("a simulated driver");
            // SAFETY: S1. Numbers only.
            unsafe { foreign(bytes) };
        }
    }

    /// Pieces of work that are queued and have not run.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.number(b"sim_pending\0")
    }

    /// How often a call has stopped the host until the device had got somewhere.
    #[must_use]
    pub fn host_waits(&self) -> u64 {
        self.number(b"sim_host_waits\0")
    }

    /// What was found: races, faults, lifetimes. Empty is good.
    #[must_use]
    pub fn report(&self) -> String {
        self.text(b"sim_report\0")
    }

    /// How often each driver call was made.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, u64)> {
        let text = self.text(b"sim_counts\0");
        let line = |line: &str| line.split_once(' ').map(|(name, count)| (name.to_owned(), count.parse().unwrap_or(0)));
        text.lines().filter_map(line).collect()
    }

    /// How often `name` was called.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.counts().iter().find(|(called, _)| called == name).map_or(0, |&(_, count)| count)
    }

    /// What is still there.
    #[must_use]
    pub fn live(&self) -> Live {
        let text = self.text(b"sim_live\0");
        let mut numbers = text.split(' ').filter_map(|word| word.parse().ok());
        let mut next = || numbers.next().unwrap_or(0);
        Live { regions: next(), pinned: next(), streams: next(), events: next(), contexts: next() }
    }

    fn number(&self, symbol: &[u8]) -> u64 {
        let Some(library) = self.library else { return 0 };
        // SAFETY: S1.
        let number = unsafe { library.get::<unsafe extern "C" fn() -> u64>(symbol) }.expect("a simulated driver");
        // SAFETY: S1.
        unsafe { number() }
    }

    fn text(&self, symbol: &[u8]) -> String {
        type Text = unsafe extern "C" fn(*mut u8, usize) -> usize;
        let Some(library) = self.library else { return String::new() };
        // SAFETY: S1.
        let text = unsafe { library.get::<Text>(symbol) }.expect("a simulated driver");
        let mut buffer = vec![0; 64 << 10];
        // SAFETY: S1. The buffer takes as much as is said.
        let length = unsafe { text(buffer.as_mut_ptr(), buffer.len()) };
        buffer.truncate(length);
        String::from_utf8_lossy(&buffer).into_owned()
    }
}

/// Where the simulated driver is: for `LD_PRELOAD` of programs that know nothing of it.
#[must_use]
pub fn path() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows its own file");
    let folders = program.ancestors().skip(1).take(3);
    let mut places = folders.flat_map(|folder| [folder.join(FILE), folder.join("deps").join(FILE)]);
    places.find(|place| place.is_file()).expect("a package that depends on freehold-sim-driver has it built")
}

fn library() -> Option<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    let load = || {
        if std::env::var_os("FREEHOLD_ON_CARD").is_some() {
            return None;
        }
        // SAFETY: our own library, which runs nothing when it is loaded. By its absolute path: what is asked for later by
        // the name `libcuda.so` is then this one, whatever the library path holds.
        Some(unsafe { Library::new(path()) }.expect("the simulated driver loads"))
    };
    LIBRARY.get_or_init(load).as_ref()
}
