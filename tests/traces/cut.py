#!/usr/bin/env python3
"""Cuts windows of events out of a recorded trace, so that what is left is a whole trace again.

    cut.py INPUT.csv.zst OUTPUT.csv.zst FIRST-LAST [FIRST-LAST ...]

Events are counted from 1. Inside the windows every event is kept whose id is known; outside them only what other events
hang on: load, share, unload, begin, end, and the free or release of what a window made. Needs the program `zstd`.
"""
import subprocess
import sys

SKELETON = {"load", "share", "unload", "begin", "end"}
MAKES, ENDS = {"alloc", "acquire"}, {"free", "release"}


def cut(lines, windows):
    kept, number = set(), 0
    for line in lines:
        if line.startswith("#") or line.startswith("t_us,"):
            yield line
            continue
        number += 1
        op, name = line.split(",", 4)[2:4]
        inside = any(first <= number <= last for first, last in windows)
        if op in MAKES and inside:
            kept.add(name)
        if op in SKELETON or op == "access" and inside or op in MAKES | ENDS and name in kept:
            yield line


def main():
    source, target, *windows = sys.argv[1:]
    windows = [tuple(map(int, window.split("-"))) for window in windows]
    text = subprocess.run(["zstd", "-qdc", source], check=True, capture_output=True, text=True).stdout
    lines = list(cut(text.splitlines(keepends=True), windows))
    spans = " ".join(f"{first}-{last}" for first, last in windows)
    lines.insert(1, f"# cut: events {spans}, and what they hang on (tests/traces/cut.py)\n")
    subprocess.run(["zstd", "-q", "-f", "--ultra", "-22", "-o", target], check=True, input="".join(lines), text=True)


if __name__ == "__main__":
    main()
