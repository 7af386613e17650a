//! The checker: writes what a block must hold, and looks whether it, or a weight, still does.
//!
//! On ordinary memory it looks at the bytes where they lie; on a device it copies each span out first.

use std::ops::Range;

use freehold_cuda::{Access, Error, VramHandle};

use super::contents::{self, Contents, Sight};
use super::meter::Meter;

/// Stamps a block that has just been made.
pub(super) fn stamp_block(id: u32, handle: &mut VramHandle, meter: &mut Meter) {
    write_stamps(id, handle, &mut meter.scratch)
        .unwrap_or_else(|error| meter.mismatch(|| format!("block {id} could not be stamped: {error}")));
}

fn write_stamps(id: u32, handle: &mut VramHandle, scratch: &mut Vec<u8>) -> Result<(), Error> {
    let (contents, mut access) = (Contents::of(id), handle.access_mut()?);
    let sight = sight(access.as_host_slice());
    for span in contents::block_spans(id, access.bytes().get(), sight) {
        if let Some(bytes) = access.as_host_slice_mut() {
            contents.fill(span.start, &mut bytes[range(&span)]);
            continue;
        }
        scratch.resize(range(&span).len(), 0);
        contents.fill(span.start, scratch);
        access.write(span.start, scratch)?;
    }
    Ok(())
}

/// Looks at a block's stamps: the mirror of [`stamp_block`].
pub(super) fn check_block(id: u32, handle: &VramHandle, meter: &mut Meter) {
    match handle.access() {
        Ok(access) => {
            let sight = sight(access.as_host_slice());
            compare(id, &access, contents::block_spans(id, access.bytes().get(), sight), meter);
        }
        Err(error) => meter.mismatch(|| format!("block {id} could not be read: {error}")),
    }
}

/// Looks at a weight that has just been accessed; `look` is another number each time, so that other places are seen.
pub(super) fn check_weight(id: u32, access: &Access<'_>, look: u64, meter: &mut Meter) {
    let sight = sight(access.as_host_slice());
    compare(id, access, contents::weight_spans(look, access.bytes().get(), sight), meter);
}

/// Looks at the bytes where `spans` point, up to the first wrong ones.
fn compare(id: u32, access: &Access<'_>, spans: impl Iterator<Item = Range<u64>>, meter: &mut Meter) {
    let (contents, host) = (Contents::of(id), access.as_host_slice());
    meter.checks += 1;
    for span in spans {
        meter.checked_bytes += span.end - span.start;
        let right = match host {
            Some(bytes) => contents.agree(span.start, &bytes[range(&span)]),
            None => {
                meter.scratch.resize(range(&span).len(), 0);
                access.read(span.start, &mut meter.scratch).is_ok() && contents.agree(span.start, &meter.scratch)
            }
        };
        if !right {
            return meter.mismatch(|| format!("tensor {id}: wrong bytes at {}..{}", span.start, span.end));
        }
    }
}

fn sight(bytes: Option<&[u8]>) -> Sight {
    if bytes.is_some() { Sight::InPlace } else { Sight::Copied }
}

fn range(span: &Range<u64>) -> Range<usize> {
    span.start as usize..span.end as usize
}
