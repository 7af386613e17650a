//! The life of every id while a trace is read: made once, used while it lives, ended once.
//!
//! This is where the file's own ids become indices, so an id that was never made cannot get one.

use std::collections::HashMap;

use thiserror::Error;

use super::event::Op;

/// What can be wrong with one line.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    #[error("the first line that is no comment must be `{expected}`, not `{found}`")]
    Header { expected: &'static str, found: String },
    #[error("{found} fields instead of {expected}")]
    Fields { expected: usize, found: usize },
    #[error("a line of {limit} bytes or more")]
    TooLong { limit: u64 },
    #[error("unknown op `{0}`")]
    UnknownOp(String),
    #[error("{field} `{text}` is not a whole number from 0 to {max}")]
    Number { field: &'static str, text: String, max: u64 },
    #[error("the tag is not UTF-8")]
    Tag,
    #[error("more than {max} different {what}")]
    TooMany { what: &'static str, max: u64 },
    #[error("{} of id {id}, which was never {}", op.word(), made_word(*op))]
    NeverMade { op: Op, id: u64 },
    #[error("{} of id {id}, which is already gone", op.word())]
    Gone { op: Op, id: u64 },
    #[error("{} of id {id}, which was made by `{}`", op.word(), made.word())]
    OtherKind { op: Op, id: u64, made: Op },
    #[error("{} of id {id}, which is not new: ids are never used again", op.word())]
    NotNew { op: Op, id: u64 },
    #[error("{} of id {id} says {bytes} bytes, and it was made with {made}", op.word())]
    OtherSize { op: Op, id: u64, bytes: u64, made: u64 },
    #[error("the compressed data ends or is damaged here ({0})")]
    Damaged(String),
}

/// How a person says that an id has the beginning that `op` needs.
fn made_word(op: Op) -> &'static str {
    match op.maker() {
        Op::Load => "loaded",
        Op::Acquire => "acquired",
        _ => "allocated",
    }
}

impl Op {
    /// The op that must have made what this op uses.
    fn maker(self) -> Op {
        match self {
            Op::Free => Op::Alloc,
            Op::Release => Op::Acquire,
            Op::Unload | Op::Share | Op::Access => Op::Load,
            maker => maker,
        }
    }

    /// Whether this op ends what it names.
    pub(crate) fn ends(self) -> bool {
        matches!(self, Op::Free | Op::Release | Op::Unload)
    }
}

/// What is known of one id.
#[derive(Debug)]
struct Life {
    made: Op,
    bytes: u64,
    gone: bool,
}

/// Every id met so far.
#[derive(Debug, Default)]
pub(super) struct Ids {
    index: HashMap<u64, u32>,
    lives: Vec<Life>,
}

impl Ids {
    /// How many ids there are.
    pub(super) fn len(&self) -> usize {
        self.lives.len()
    }

    /// The index of `id`, if `op` may happen to it now.
    pub(super) fn step(&mut self, op: Op, id: u64, bytes: u64) -> Result<u32, Fault> {
        match op {
            Op::Begin | Op::End => Ok(u32::MAX), // a job's number, which nothing refers to
            Op::Alloc | Op::Acquire | Op::Load => self.make(op, id, bytes),
            _ => self.go_on(op, id, bytes),
        }
    }

    fn make(&mut self, op: Op, id: u64, bytes: u64) -> Result<u32, Fault> {
        let max = u64::from(u32::MAX);
        let index = u32::try_from(self.lives.len()).map_err(|_| Fault::TooMany { what: "ids", max })?;
        if self.index.insert(id, index).is_some() {
            return Err(Fault::NotNew { op, id });
        }
        self.lives.push(Life { made: op, bytes, gone: false });
        Ok(index)
    }

    fn go_on(&mut self, op: Op, id: u64, bytes: u64) -> Result<u32, Fault> {
        let index = *self.index.get(&id).ok_or(Fault::NeverMade { op, id })?;
        let life = &mut self.lives[index as usize];
        if life.made != op.maker() {
            return Err(Fault::OtherKind { op, id, made: life.made });
        }
        if life.gone {
            return Err(Fault::Gone { op, id });
        }
        if life.bytes != bytes {
            return Err(Fault::OtherSize { op, id, bytes, made: life.bytes });
        }
        life.gone = op.ends();
        Ok(index)
    }
}
