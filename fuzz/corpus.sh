#!/usr/bin/env bash
# What fuzzing kept, as text: one input a line, in hexadecimal, so that `cargo test` runs it and a review can see it.
#
#   fuzz/corpus.sh unpack     corpus.hex into corpus/buddy_operations, for the fuzzer to begin with
#   fuzz/corpus.sh pack       the smallest set of inputs in corpus/ that covers as much, none above 160 bytes, into corpus.hex
set -eu
cd "$(dirname "$0")"
inputs=corpus/buddy_operations
case "${1-}" in
unpack)
    mkdir -p "$inputs"
    number=0
    while read -r line; do
        number=$((number + 1))
        printf "$(echo "$line" | sed 's/../\\x&/g')" >"$inputs/kept-$number"
    done <corpus.hex
    ;;
pack)
    kept=$(mktemp -d)
    trap 'rm -rf "$kept"' EXIT
    cargo +nightly fuzz run -s none buddy_operations -- -set_cover_merge=1 -max_len=160 "$kept" "$inputs"
    find "$kept" -type f | sort | while read -r input; do
        od -An -v -tx1 "$input" | tr -d ' \n'
        echo
    done >corpus.hex
    wc corpus.hex
    ;;
*)
    sed -n '2,5p' "$0"
    exit 1
    ;;
esac
