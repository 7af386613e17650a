#!/usr/bin/env python3
"""Takes one ordering of the CUDA path out at a time, and says which tests on the simulated driver notice.

    scripts/unorder.py [WORD]      every row, or those whose name contains WORD; a minute each

It works on a copy of the last commit in a temporary folder. A row that nobody notices is an ordering that nobody needs, or a
test that is missing. The last output stands in tests/sim_driver/README.md.
"""

import os
import subprocess
import sys
import tempfile

DRIVER = "cuda/src/memory/driver/"
FORGET = "tenant.streams.begin(crate::stream::StreamSet::EMPTY);"
TESTS = ["cuda_streams_are_ordered", "cuda_moves_are_ordered", "cuda_captures_are_left_alone", "cuda_manager_behaves",
         "cuda_a_replay_survives_any_failing_call"]

# What is taken out, where, the text that goes, and what comes in its place.
ROWS = [
    ("an upload is behind who used the block", DRIVER + "device.rs", "self.order(after, StreamId::new(IN))?;", ""),
    ("a download is behind who wrote", DRIVER + "device.rs", "self.order(after, StreamId::new(OUT))?;", ""),
    ("a move is behind who used either place", DRIVER + "device.rs", "self.order(after, StreamId::new(INSIDE))?;", ""),
    ("a download that failed is waited for", DRIVER + "device.rs", ".inspect_err(|_| self.settle(OUT))", ""),
    ("a place that was moved from is behind the move", "cuda/src/moves.rs",
     "arena.note_users(step.from, step.bytes, behind);", ""),
    ("a moved entry is behind its move", "cuda/src/moves.rs", "tenant.streams.begin(behind);", FORGET),
    ("a move is behind earlier users of its target", "cuda/src/moves.rs",
     "tenant.streams.everybody().union(earlier)", "tenant.streams.everybody()"),
    ("a freed block is behind its users", "cuda/src/inner.rs",
     "self.arenas.at(place.arena).note_users(place.offset, want.bytes, tenant.streams.everybody());", ""),
    ("a new owner is behind earlier users", "cuda/src/materialise.rs",
     "tenant.streams.begin(arena.earlier_users(place.offset, self.reserved(tenant.bytes)));", FORGET),
    ("access_on is behind the load", "cuda/src/stream.rs", "device.order(first, stream)?;", ""),
    ("a fence is refused on a stream that is captured", DRIVER + "streams.rs",
     "kept.is_some() && is_capturing(raw)?", "kept.is_some() && false"),
    ("memory comes and goes in the relaxed mode of capture", DRIVER + "context.rs",
     "CU_STREAM_CAPTURE_MODE_RELAXED).ok()", "CU_STREAM_CAPTURE_MODE_GLOBAL).ok()"),
    ("pinned bytes stay until their copies are through", DRIVER + "pinned.rs",
     "self.device.wait(readers)", "Ok::<(), crate::memory::DeviceError>(drop(readers))"),
    ("a staging buffer is reused after its copy", DRIVER + "staging.rs",
     "let finished = if stage.in_use { self.streams.finish(&stage.event) } else { Ok(()) };",
     "let finished: Result<(), DriverError> = Ok(());"),
    ("a thread's own default stream is refused", DRIVER + "noted.rs",
     "stream.cu_stream().addr() == PER_THREAD", "stream.cu_stream().addr() == usize::MAX"),
]


def who_notices(folder):
    words = ["cargo", "test", "-p", "freehold-tests", "--no-fail-fast"]
    run = subprocess.run(words + [word for test in TESTS for word in ("--test", test)], cwd=folder,
                         capture_output=True, text=True, env=dict(os.environ, RUST_BACKTRACE="0"))
    if "could not compile" in run.stderr:
        sys.exit(run.stderr)
    lines = [line.split() for line in run.stdout.splitlines()]
    return sorted({words[1] for words in lines if words[:1] == ["test"] and words[-1] == "FAILED"})


def main():
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    unnoticed = 0
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=root, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        os.environ.setdefault("CARGO_TARGET_DIR", os.path.join(root, "target", "unorder"))
        for name, file, before, after in (row for row in ROWS if word in row[0]):
            path = os.path.join(folder, file)
            with open(path, encoding="utf-8") as source:
                text = source.read()
            if before not in text:
                sys.exit(f"{file} has no longer {before!r}")
            with open(path, "w", encoding="utf-8") as source:
                source.write(text.replace(before, after))
            noticed = who_notices(folder)
            unnoticed += not noticed
            print(f"| {name} | {', '.join(noticed) or 'NOBODY'} |", flush=True)
            with open(path, "w", encoding="utf-8") as source:
                source.write(text)
    sys.exit(unnoticed)


main()
