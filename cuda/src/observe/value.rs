//! A value of Python's, as a pickle: protocol 2, in the few opcodes that PyTorch's viewer reads as well as Python does.
//!
//! What is said again and again (a key, a label, the frames of a block) is written once and referred to from then on, as Python's own
//! pickler does: a long history is a quarter of the bytes, and whoever reads it holds each text once. Written here, because the writers
//! there are use opcodes that the viewer does not know. Source: Python's `pickletools`.

use std::collections::HashMap;
use std::rc::Rc;

/// What a pickle can hold, as far as we need it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(Rc<str>),
    List(Vec<Value>),
    Dict(Vec<(&'static str, Value)>),
    /// A dictionary whose keys are not ours.
    Named(Vec<(Rc<str>, Value)>),
    /// The same value in many places.
    Shared(Rc<Value>),
}

/// Python writes its own lists in lots of so many; the viewer takes a lot as the arguments of one call.
const LOT: usize = 1000;

impl Value {
    pub(super) fn text(text: &str) -> Value {
        Value::Text(Rc::from(text))
    }

    /// A number that never was negative. Addresses and sizes are below 2^63.
    pub(super) fn number(number: u64) -> Value {
        Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }

    pub(super) fn dict(items: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
        Value::Dict(items.into_iter().collect())
    }

    pub(super) fn to_pickle(&self) -> Vec<u8> {
        let mut pickle = Pickle { out: vec![0x80, 2], ..Pickle::default() }; // PROTO
        pickle.put(self);
        pickle.out.push(b'.'); // STOP
        pickle.out
    }
}

/// A pickle under construction, and what in it can be referred to, by its number.
#[derive(Default)]
struct Pickle {
    out: Vec<u8>,
    texts: HashMap<Box<str>, u32>,
    /// By address: who shares a value keeps it alive.
    values: HashMap<*const Value, u32>,
}

impl Pickle {
    fn put(&mut self, value: &Value) {
        match value {
            Value::Int(number) => self.int(*number),
            Value::Float(number) => {
                self.out.push(b'G'); // BINFLOAT, big-endian
                self.out.extend(number.to_be_bytes());
            }
            Value::Bool(yes) => self.out.push(if *yes { 0x88 } else { 0x89 }), // NEWTRUE, NEWFALSE
            Value::Text(text) => self.text(text),
            Value::List(items) => {
                self.out.push(b']'); // EMPTY_LIST
                self.lots(items, b'e', Pickle::put); // APPENDS
            }
            Value::Dict(items) => self.dict(items),
            Value::Named(items) => self.dict(items),
            Value::Shared(value) => match self.values.get(&Rc::as_ptr(value)) {
                Some(&number) => self.refer(number),
                None => {
                    self.put(value);
                    let number = self.remember();
                    self.values.insert(Rc::as_ptr(value), number);
                }
            },
        }
    }

    fn dict(&mut self, items: &[(impl AsRef<str>, Value)]) {
        self.out.push(b'}'); // EMPTY_DICT
        self.lots(items, b'u', |pickle, (key, value)| {
            pickle.text(key.as_ref());
            pickle.put(value);
        }); // SETITEMS
    }

    fn lots<T>(&mut self, items: &[T], end: u8, put: impl Fn(&mut Pickle, &T)) {
        for lot in items.chunks(LOT) {
            self.out.push(b'('); // MARK
            lot.iter().for_each(|item| put(self, item));
            self.out.push(end);
        }
    }

    fn int(&mut self, number: i64) {
        if let Ok(tiny) = u8::try_from(number) {
            self.out.extend([b'K', tiny]); // BININT1
        } else if let Ok(small) = i32::try_from(number) {
            self.out.push(b'J'); // BININT
            self.out.extend(small.to_le_bytes());
        } else {
            self.out.extend([0x8a, 8]); // LONG1, of eight bytes
            self.out.extend(number.to_le_bytes());
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(&number) = self.texts.get(text) {
            return self.refer(number);
        }
        let length = u32::try_from(text.len()).expect("no label is 4 GiB long");
        self.out.push(b'X'); // BINUNICODE
        self.out.extend(length.to_le_bytes());
        self.out.extend(text.as_bytes());
        let number = self.remember();
        self.texts.insert(text.into(), number);
    }

    /// Gives what was just written a number.
    fn remember(&mut self) -> u32 {
        let number = u32::try_from(self.texts.len() + self.values.len()).expect("fewer texts than that");
        self.numbered([b'q', b'r'], number); // BINPUT, LONG_BINPUT
        number
    }

    fn refer(&mut self, number: u32) {
        self.numbered([b'h', b'j'], number); // BINGET, LONG_BINGET
    }

    fn numbered(&mut self, [short, long]: [u8; 2], number: u32) {
        if let Ok(tiny) = u8::try_from(number) {
            self.out.extend([short, tiny]);
        } else {
            self.out.push(long);
            self.out.extend(number.to_le_bytes());
        }
    }
}
