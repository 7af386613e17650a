//! A value of Python's, as a pickle: protocol 2, in the few opcodes that PyTorch's viewer reads as well as Python does.
//!
//! Written here, because the writers there are use opcodes that the viewer does not know. Source: Python's `pickletools`.

/// What a pickle can hold, as far as we need it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    List(Vec<Value>),
    Dict(Vec<(String, Value)>),
}

/// Python writes its own lists in lots of so many; the viewer takes a lot as the arguments of one call.
const LOT: usize = 1000;

impl Value {
    pub(super) fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    /// A number that never was negative. Addresses and sizes are below 2^63.
    pub(super) fn number(number: u64) -> Value {
        Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }

    pub(super) fn dict<'k>(items: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
        Value::Dict(items.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    pub(super) fn to_pickle(&self) -> Vec<u8> {
        let mut out = vec![0x80, 2]; // PROTO
        self.put(&mut out);
        out.push(b'.'); // STOP
        out
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Value::Int(number) => put_int(*number, out),
            Value::Float(number) => {
                out.push(b'G'); // BINFLOAT, big-endian
                out.extend(number.to_be_bytes());
            }
            Value::Bool(yes) => out.push(if *yes { 0x88 } else { 0x89 }), // NEWTRUE, NEWFALSE
            Value::Text(text) => put_text(text, out),
            Value::List(items) => {
                out.push(b']'); // EMPTY_LIST
                for lot in items.chunks(LOT) {
                    out.push(b'('); // MARK
                    lot.iter().for_each(|item| item.put(out));
                    out.push(b'e'); // APPENDS
                }
            }
            Value::Dict(items) => {
                out.push(b'}'); // EMPTY_DICT
                for lot in items.chunks(LOT) {
                    out.push(b'('); // MARK
                    for (key, value) in lot {
                        put_text(key, out);
                        value.put(out);
                    }
                    out.push(b'u'); // SETITEMS
                }
            }
        }
    }
}

fn put_int(number: i64, out: &mut Vec<u8>) {
    if let Ok(small) = i32::try_from(number) {
        out.push(b'J'); // BININT
        out.extend(small.to_le_bytes());
    } else {
        out.extend([0x8a, 8]); // LONG1, of eight bytes
        out.extend(number.to_le_bytes());
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    let length = u32::try_from(text.len()).expect("no label is 4 GiB long");
    out.push(b'X'); // BINUNICODE
    out.extend(length.to_le_bytes());
    out.extend(text.as_bytes());
}
