//! A reader of pickles as PyTorch's memory viewer has one: it knows these opcodes, some more, and by far not all.

use std::collections::BTreeMap;
use std::rc::Rc;

/// What it makes of a value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each is Python's own")]
pub enum Py {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(Rc<str>),
    List(Rc<Vec<Py>>),
    Dict(Rc<BTreeMap<Rc<str>, Py>>),
}

/// What a dictionary has under a key. A key that is missing, or a value of another type, is a failure.
impl Py {
    /// The value.
    #[must_use]
    pub fn get(&self, key: &str) -> &Py {
        let Py::Dict(items) = self else { panic!("{key} of {self:?}") };
        items.get(key).unwrap_or_else(|| panic!("no {key} in {:?}", items.keys()))
    }

    /// Whether there is such a key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        matches!(self, Py::Dict(items) if items.contains_key(key))
    }

    /// The number.
    #[must_use]
    pub fn int(&self, key: &str) -> i64 {
        if let Py::Int(number) = self.get(key) { *number } else { panic!("{key} is no number") }
    }

    /// The text.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        if let Py::Text(text) = self.get(key) { text } else { panic!("{key} is no text") }
    }

    /// The list.
    #[must_use]
    pub fn list(&self, key: &str) -> &[Py] {
        if let Py::List(items) = self.get(key) { items } else { panic!("{key} is no list") }
    }
}

/// The value in a pickle.
#[must_use]
pub fn unpickled(pickle: &[u8]) -> Py {
    let (mut rest, mut stack, mut marks, mut memo) = (&pickle[2..], Vec::<Py>::new(), Vec::new(), BTreeMap::new());
    assert_eq!(pickle[..2], [0x80, 2], "the viewer takes protocols 2 to 4");
    fn taken<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
        let (first, others) = rest.split_first_chunk().expect("it ends with a full stop");
        *rest = others;
        *first
    }
    loop {
        let [opcode] = taken(&mut rest);
        match opcode {
            b'.' => return stack.pop().expect("something was read"),
            b'(' => marks.push(stack.len()),
            b'}' => stack.push(Py::Dict(Rc::default())),
            b']' => stack.push(Py::List(Rc::default())),
            b'e' | b'u' => {
                let items = stack.split_off(marks.pop().expect("a mark"));
                // The viewer hands them over as the arguments of one call, of which there may not be too many.
                assert!(items.len() <= 2000, "{} at once", items.len());
                match stack.last_mut().expect("what they go into") {
                    Py::List(list) => Rc::make_mut(list).extend(items),
                    Py::Dict(dict) => items.chunks(2).for_each(|pair| {
                        let Py::Text(key) = &pair[0] else { panic!("a key is text") };
                        Rc::make_mut(dict).insert(Rc::clone(key), pair[1].clone());
                    }),
                    other => panic!("items for {other:?}"),
                }
            }
            b'K' => stack.push(Py::Int(taken::<1>(&mut rest)[0].into())),
            b'J' => stack.push(Py::Int(i32::from_le_bytes(taken(&mut rest)).into())),
            0x8a => {
                assert_eq!(taken::<1>(&mut rest), [8]);
                let number = i64::from_le_bytes(taken(&mut rest));
                // It counts in floating point: an address beyond 53 bits would be another one.
                assert!(number.abs() < 1 << 53, "{number}");
                stack.push(Py::Int(number));
            }
            b'G' => stack.push(Py::Float(f64::from_be_bytes(taken(&mut rest)))),
            0x88 | 0x89 => stack.push(Py::Bool(opcode == 0x88)),
            b'X' => {
                let length = u32::from_le_bytes(taken(&mut rest)) as usize;
                let (text, others) = rest.split_at(length);
                stack.push(Py::Text(std::str::from_utf8(text).expect("UTF-8").into()));
                rest = others;
            }
            b'q' | b'r' | b'h' | b'j' => {
                let short = matches!(opcode, b'q' | b'h');
                let number = if short { taken::<1>(&mut rest)[0].into() } else { u32::from_le_bytes(taken(&mut rest)) };
                if matches!(opcode, b'q' | b'r') {
                    memo.insert(number, stack.last().expect("something to remember").clone());
                } else {
                    stack.push(memo[&number].clone());
                }
            }
            other => panic!("the viewer does not know the opcode {other:#x}"),
        }
    }
}
