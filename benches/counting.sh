#!/bin/sh
# What counting costs: the bench `observe` of two builds, with the statistics and without them, in turn; medians over the rounds, ns.
#
#   benches/counting.sh [ROUNDS]     default 15, about two minutes after building, on a machine that does nothing else
#
# Nobody ships the build without: it is this crate compiled with `--cfg freehold_uncounted`, in which a count is not written.
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-15}
target="${CARGO_TARGET_DIR:-$PWD/target}"
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT

build() { # NAME RUSTFLAGS
    CARGO_TARGET_DIR="$target/$1" RUSTFLAGS="$2" cargo bench -q -p freehold-benches --bench observe --no-run
    ls -t "$target/$1"/release/deps/observe-* | grep -v '\.' | head -n 1
}
counted=$(build counted "")
uncounted=$(build uncounted "--cfg freehold_uncounted")

turn() { # NAME BINARY: a line a bench, with the middle of criterion's three figures in ns
    "$2" --bench --noplot --warm-up-time 0.2 --measurement-time 0.6 2>/dev/null | awk -v build="$1" '
        /^observe/ { name = $1 }
        match($0, /time: *\[/) {
            split(substr($0, RSTART + RLENGTH), at, " ")
            print build, name, at[3] * (at[4] == "ps" ? 0.001 : at[4] == "ns" ? 1 : 1000)
        }' >>"$rows"
}
round=0
while [ "$round" -lt "$rounds" ]; do
    turn counted "$counted"
    turn uncounted "$uncounted"
    round=$((round + 1))
done

median() { awk -v build="$1" -v name="$2" '$1 == build && $2 == name { print $3 }' "$rows" | sort -n | awk '{ at[NR] = $1 } END { print at[int((NR + 1) / 2)] }'; }
printf '%-34s %10s %10s %10s\n' "$rounds rounds, median ns" counted uncounted more
for name in $(awk '{ print $2 }' "$rows" | sort -u); do
    with=$(median counted "$name") without=$(median uncounted "$name")
    awk -v name="$name" -v with="$with" -v without="$without" \
        'BEGIN { printf "%-34s %10.2f %10.2f %6.2f (%+.1f%%)\n", name, with, without, with - without, 100 * (with / without - 1) }'
done
