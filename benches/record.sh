#!/bin/sh
# All records of the buddy and of resident access, one after the other, about two minutes on a machine that does nothing else:
#
#   benches/record.sh [FOLDER]     writes DATE-*.csv into FOLDER (default benches/record)
set -eu
cd "$(dirname "$0")/.."
folder=$(mkdir -p "${1:-benches/record}" && cd "${1:-benches/record}" && pwd)
export FREEHOLD_CRITERION=0
cargo bench -p freehold-benches --no-run
for bench in allocate_free contention fragmentation resident_access; do
    FREEHOLD_CSV="$folder/$(date -u +%Y-%m-%d)-$bench.csv" cargo bench -p freehold-benches --bench "$bench"
done
