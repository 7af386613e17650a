//! A manager has one observer, and a replay up to two onlookers: the watch, and the recorder of a report.

use std::sync::Arc;

use freehold_cuda::{Event, Observer};

use super::watch::Watch;
use crate::report::Recorder;

/// All who look on.
#[derive(Debug)]
pub(super) struct Onlookers {
    watch: Arc<Watch>,
    recorder: Option<Arc<Recorder>>,
}

impl Onlookers {
    pub(super) fn new(watch: Arc<Watch>, recorder: Option<Arc<Recorder>>) -> Onlookers {
        Onlookers { watch, recorder }
    }
}

impl Observer for Onlookers {
    fn event(&self, event: &Event) {
        self.watch.event(event);
        if let Some(recorder) = &self.recorder {
            recorder.event(event);
        }
    }
}
