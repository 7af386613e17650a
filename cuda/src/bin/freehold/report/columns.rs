//! Columns: what happened in each of a fixed number of stretches of the replay. The length of a replay is known before it
//! begins, so a column's width never changes, and a replay of a million events keeps as much as one of a thousand.

use std::collections::BTreeMap;

use serde::Serialize;

use super::groups::{GROUPS, Group};

/// About two pixels each on a wide screen.
const MOST_COLUMNS: u64 = 600;

/// All columns, and which of them it is now.
#[derive(Debug)]
pub(super) struct Columns {
    /// Events to a column. The last one may have fewer.
    pub(super) stride: u64,
    done: u64,
    columns: Vec<Column>,
}

/// What happened in one stretch.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    /// When it ended.
    pub(super) end_ns: u64,
    /// At its end, by group.
    pub(super) resident: [u64; GROUPS],
    /// The most in it.
    pub(super) peak_resident: u64,
    /// Uploads, by what they were for.
    pub(super) uploads: [Sum; 3],
    /// By who asked and who left.
    pub(super) evictions: BTreeMap<(Group, Group), Sum>,
    pub(super) moved: Sum,
    pub(super) refused: u64,
}

/// So many, of so many bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

impl Sum {
    pub(super) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

impl Columns {
    /// For a replay of so many events.
    pub(super) fn new(events: u64) -> Columns {
        let stride = events.div_ceil(MOST_COLUMNS).max(1);
        let columns = vec![Column::default(); events.div_ceil(stride).max(1) as usize];
        Columns { stride, done: 0, columns }
    }

    /// The column of what happens now. What happens after the last event belongs to the last column.
    pub(super) fn now(&mut self) -> &mut Column {
        let number = self.number();
        &mut self.columns[number]
    }

    pub(super) fn number(&self) -> usize {
        ((self.done / self.stride) as usize).min(self.columns.len() - 1)
    }

    /// One event is done. Says which column it ended, if any.
    pub(super) fn step(&mut self) -> Option<usize> {
        let column = self.number();
        self.done += 1;
        let last = column + 1 == self.columns.len();
        (self.done.is_multiple_of(self.stride) && !last).then_some(column)
    }

    /// How many events are done: the recorder's time.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    pub(super) fn at(&mut self, number: usize) -> &mut Column {
        &mut self.columns[number]
    }

    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Side by side, as the page wants them: a list a figure.
    pub(super) fn series(&self) -> Series {
        let each = |figure: &dyn Fn(&Column) -> u64| self.columns.iter().map(figure).collect::<Vec<_>>();
        let uploads = |kind: usize| {
            (each(&|column: &Column| column.uploads[kind].count), each(&|column: &Column| column.uploads[kind].bytes))
        };
        Series {
            stride: self.stride,
            end_ns: each(&|column| column.end_ns),
            resident: (0..GROUPS).map(|group| each(&|column: &Column| column.resident[group])).collect(),
            peak_resident: each(&|column| column.peak_resident),
            uploads: [0, 1, 2].map(uploads),
            moved: (each(&|column| column.moved.count), each(&|column| column.moved.bytes)),
            refused: each(&|column| column.refused),
            evictions: (0..)
                .zip(&self.columns)
                .flat_map(|(number, column)| {
                    let pair = move |(&(by, of), sum): (&(Group, Group), &Sum)| {
                        [number, by.into(), of.into(), sum.count, sum.bytes]
                    };
                    column.evictions.iter().map(pair)
                })
                .collect(),
        }
    }
}

/// The columns, a list a figure.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    stride: u64,
    end_ns: Vec<u64>,
    resident: Vec<Vec<u64>>,
    peak_resident: Vec<u64>,
    /// First, again, needless: counts and bytes.
    uploads: [(Vec<u64>, Vec<u64>); 3],
    moved: (Vec<u64>, Vec<u64>),
    refused: Vec<u64>,
    /// Column, who asked, who left, count, bytes.
    evictions: Vec<[u64; 5]>,
}
