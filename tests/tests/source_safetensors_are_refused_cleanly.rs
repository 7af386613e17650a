//! Safetensors files (C13): what is whole is read by name, what is cut, malformed or hostile is refused with numbers, and
//! nothing that is accepted reaches beyond its file. Not here: loading them, which `model_loads_whole.rs` shows.

use freehold_cuda::source::SafetensorsError;
use freehold_cuda::{Bytes, Safetensors};
use freehold_tests::files::{ScratchFile, pattern};
use proptest::prelude::*;
use std::fs::OpenOptions;

fn small_model() -> Vec<u8> {
    let file = ScratchFile::model(&[("a", &pattern(1, 100)), ("b", &[]), ("c", &pattern(2, 50))]);
    std::fs::read(file.path()).unwrap()
}

/// A file with this header and this much data behind it.
fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn refusal(content: &[u8]) -> SafetensorsError {
    Safetensors::open(ScratchFile::of(content).path()).map(drop).unwrap_err()
}

#[test]
fn a_whole_file_is_read_by_name_and_in_order() {
    let file = ScratchFile::of(&small_model());
    let tensors = Safetensors::open(file.path()).unwrap();
    let mut names: Vec<_> = tensors.tensors().iter().map(|tensor| tensor.name()).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "b", "c"]);
    let tensor = tensors.get("c").unwrap();
    assert_eq!((tensor.bytes(), tensor.shape(), tensor.dtype().to_string()), (Bytes(50), &[50][..], "U8".to_owned()));
    assert!(tensors.get("d").is_none());
    let empty = ScratchFile::of(&with_header("{}", 0));
    assert!(Safetensors::open(empty.path()).unwrap().tensors().is_empty());
}

#[test]
fn a_cut_file_is_refused_at_every_length() {
    let whole = small_model();
    let header_end = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap());
    for length in 0..whole.len() {
        let (refused, length) = (refusal(&whole[..length]), length as u64);
        let right = match &refused {
            SafetensorsError::NoHeader { file } => length < 8 && *file == Bytes(length),
            SafetensorsError::HeaderCut { header, file } => {
                (8..header_end).contains(&length) && header.get() == header_end - 8 && *file == Bytes(length)
            }
            SafetensorsError::DataLength { described, held } => {
                length >= header_end && *described == Bytes(150) && held.get() == length - header_end
            }
            _ => false,
        };
        assert!(right, "cut at {length}: {refused}");
    }
    let mut longer = whole;
    longer.push(0);
    let refused = refusal(&longer);
    assert!(matches!(refused, SafetensorsError::DataLength { described: Bytes(150), held: Bytes(151) }), "{refused}");
}

#[test]
fn a_header_length_that_cannot_be_true_costs_nothing() {
    for claimed in [9_u64, 1 << 32, 1 << 62, i64::MAX as u64, u64::MAX] {
        let mut hostile = claimed.to_le_bytes().to_vec();
        hostile.extend(b"{}      ");
        let refused = refusal(&hostile);
        let SafetensorsError::HeaderCut { header, file } = refused else { panic!("{refused}") };
        assert_eq!((header, file), (Bytes(claimed), Bytes(16)));
    }
    // A file that is as long as its header says, and a hole.
    let sparse = ScratchFile::of(&100_000_001_u64.to_le_bytes());
    OpenOptions::new().write(true).open(sparse.path()).unwrap().set_len(1 << 30).unwrap();
    let refused = Safetensors::open(sparse.path()).map(drop).unwrap_err();
    let SafetensorsError::HeaderTooLarge { header, limit } = refused else { panic!("{refused}") };
    assert_eq!((header, limit), (Bytes(100_000_001), Bytes(100_000_000)));
    let small = ScratchFile::of(&small_model());
    let header = std::fs::metadata(small.path()).unwrap().len() - 8 - 150;
    assert!(Safetensors::open_with_limit(small.path(), Bytes(header)).is_ok());
    let refused = Safetensors::open_with_limit(small.path(), Bytes(header - 1)).map(drop).unwrap_err();
    assert!(matches!(refused, SafetensorsError::HeaderTooLarge { .. }), "{refused}");
}

#[test]
fn a_malformed_header_is_refused_with_what_was_found() {
    let tensor = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"t":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let hostile = [
        ("".to_owned(), "nothing"),
        ("not json".to_owned(), "no JSON"),
        ("[]".to_owned(), "no object"),
        ("{}x".to_owned(), "something behind the end"),
        ("{\"t\":".to_owned(), "cut JSON"),
        ("[".repeat(100_000), "nesting without end"),
        (r#"{"t":{"a":"#.repeat(50_000), "nested objects without end"),
        (r#"{"t":1}"#.to_owned(), "a number for a tensor"),
        (tensor("U9", "[8]", "[0,8]"), "an unknown type"),
        (tensor("U8", "[8]", "[8,0]"), "an end before its start"),
        (tensor("U8", "[8]", "[1,9]"), "a gap"),
        (tensor("U8", "[7]", "[0,8]"), "a shape of another length"),
        (tensor("U8", "[-8]", "[0,8]"), "a negative dimension"),
        (tensor("F32", "[4294967296,4294967296]", "[0,8]"), "a shape that wraps"),
        (tensor("U8", "[18446744073709551616]", "[0,8]"), "a dimension beyond 64 bits"),
        (tensor("F64", "[2305843009213693952]", "[0,8]"), "bits that wrap"),
        (tensor("U8", "[8]", "[18446744073709551608,18446744073709551616]"), "offsets beyond 64 bits"),
        (
            r#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[4,12]}}"#
                .to_owned(),
            "an overlap",
        ),
    ];
    for (header, what) in &hostile {
        let refused = refusal(&with_header(header, 8));
        let SafetensorsError::Malformed { header: length, reason } = &refused else { panic!("{what}: {refused}") };
        assert!(*length == Bytes(header.len() as u64) && !reason.is_empty(), "{what}: {refused}");
    }
    let mut not_text = with_header("{}", 0);
    not_text[8] = 0xff;
    assert!(matches!(refusal(&not_text), SafetensorsError::Malformed { .. }));
}

#[test]
fn a_tensor_of_the_whole_address_space_is_refused() {
    let huge = r#"{"t":{"dtype":"U8","shape":[2305843009213693951],"data_offsets":[0,2305843009213693951]}}"#;
    let refused = refusal(&with_header(huge, 8));
    let SafetensorsError::DataLength { described, held } = refused else { panic!("{refused}") };
    assert_eq!((described, held), (Bytes(2305843009213693951), Bytes(8)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever is done to a file: no panic, and what is accepted lies in the file.
    #[test]
    fn a_damaged_file_is_refused_or_still_whole(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = small_model();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let file = ScratchFile::of(&bytes);
        if let Ok(tensors) = Safetensors::open(file.path()) {
            let described: u64 = tensors.tensors().iter().map(|tensor| tensor.bytes().get()).sum();
            prop_assert!(described <= bytes.len() as u64);
        }
    }
}
