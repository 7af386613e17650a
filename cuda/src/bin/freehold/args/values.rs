//! What may stand behind a word of the command line, read from text: each says in one sentence what it would have been.

use std::str::FromStr;

/// Where the memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    Auto,
    Host,
    Cuda(u32),
}

impl FromStr for DeviceChoice {
    type Err = String;
    fn from_str(text: &str) -> Result<DeviceChoice, String> {
        match text {
            "auto" => Ok(DeviceChoice::Auto),
            "host" => Ok(DeviceChoice::Host),
            _ => {
                let ordinal = text.strip_prefix("cuda:").and_then(|n| n.parse().ok());
                ordinal.map(DeviceChoice::Cuda).ok_or_else(|| "a device is auto, host or cuda:N".to_owned())
            }
        }
    }
}

/// A number with a decimal point, above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fraction(pub(crate) f64);

impl Fraction {
    /// This part of an amount of bytes, rounded down.
    pub(crate) fn of(self, bytes: u64) -> u64 {
        (bytes as f64 * self.0) as u64 // saturates
    }
}

impl FromStr for Fraction {
    type Err = String;
    fn from_str(text: &str) -> Result<Fraction, String> {
        let plain = text.contains('.') && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let number: Option<f64> = plain.then(|| text.parse().ok()).flatten();
        let above_zero = number.filter(|number| number.is_finite() && *number > 0.0);
        above_zero
            .map(Fraction)
            .ok_or_else(|| "a fraction is written with a decimal point and is above 0, like 0.5".to_owned())
    }
}

/// How much of the card the manager may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Budget {
    /// Of (peak of loaded weights + peak of alloc and acquire bytes).
    Fraction(Fraction),
    /// The trace's own bytes.
    Bytes(u64),
}

impl Budget {
    /// The budget in the trace's own bytes, where a fraction is one of `whole`.
    pub(crate) fn of(self, whole: u64) -> u64 {
        match self {
            Budget::Fraction(fraction) => fraction.of(whole),
            Budget::Bytes(bytes) => bytes,
        }
    }
}

impl FromStr for Budget {
    type Err = String;
    fn from_str(text: &str) -> Result<Budget, String> {
        if let Ok(fraction) = text.parse() {
            return Ok(Budget::Fraction(fraction));
        }
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit: Option<u64> = match text[digits.len()..].trim() {
            "" | "B" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            _ => None,
        };
        let number: Option<u64> = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
        let bytes = number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit)).filter(|&bytes| bytes > 0);
        bytes.map(Budget::Bytes).ok_or_else(|| {
            "a budget is a fraction with a decimal point, like 0.5, or whole bytes, like 24GiB, and above 0".to_owned()
        })
    }
}

/// `THREAD=N`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadPriority {
    pub(crate) thread: u32,
    pub(crate) priority: i32,
}

impl FromStr for ThreadPriority {
    type Err = String;
    fn from_str(text: &str) -> Result<ThreadPriority, String> {
        let parsed = text.split_once('=').and_then(|(thread, priority)| {
            Some(ThreadPriority { thread: thread.parse().ok()?, priority: priority.parse().ok()? })
        });
        parsed.ok_or_else(|| "a priority is THREAD=N, both whole numbers, like 0=9".to_owned())
    }
}
