//! Work on its way: checked, ordered, noted and queued when the call is made; and the device's own thread, which does it at
//! its own pace, but in the mode `late`.

use crate::shadow::{Kind, Touch};
use crate::state::{CAPTURE_UNSUPPORTED, Code, INVALID_VALUE, WORLD, World};
use crate::stream::{Point, Work};
use std::ops::Range;
use std::sync::{Condvar, Once};
use std::time::Duration;

/// Rings when there is something to do.
static WORK: Condvar = Condvar::new();

impl World {
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

    fn wake_device(&self) {
        static DEVICE: Once = Once::new();
        if !self.config.late {
            DEVICE.call_once(|| drop(std::thread::Builder::new().name("sim device".into()).spawn(device)));
            WORK.notify_one();
        }
    }
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
