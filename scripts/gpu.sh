#!/bin/sh
# Builds what is to run on a machine with a card and its driver, and no Rust: the tests of the CUDA path, the benches, the
# examples and the command, as release binaries in one folder with a script that runs them and prints a table last.
#
#   scripts/gpu.sh [FOLDER]                here: builds into FOLDER (default target/gpu)
#   scripts/gpu.sh --simulated [FOLDER]    the same with the simulated driver beside them, as the tests are built, and on
#                                          small sizes: to try the script where there is no card
#   FOLDER/run.sh                          there: needs the driver only; writes results.csv and figures.csv beside itself
#
# The tests run on the machine's own driver (FREEHOLD_ON_CARD); what they ask of the simulated one is left out. What run.sh
# is told by its environment: FREEHOLD_TRACE, a trace to replay at full size in place of the bundled mix.
set -eu
profile=--release
if [ "${1:-}" = --simulated ]; then
    profile=--profile=dev
    shift
fi
folder=${1:-target/gpu}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")/.."

# Copies each executable, or library, that a cargo command builds into the folder, under its own name after a prefix.
collect() {
    prefix=$1 kind=$2
    shift 2
    cargo "$@" --message-format=json-render-diagnostics > "$folder/build.json"
    sed -n "$kind" "$folder/build.json" | while read -r path; do
        cp "$path" "$folder/$prefix$(basename "$path" | sed 's/-[0-9a-f]\{16\}$//')"
    done
    rm "$folder/build.json"
}
executables='s/.*"executable":"\([^"]*\)".*/\1/p'
driver='s/.*"filenames":\["\([^"]*libfreehold_sim_driver\.so\)".*/\1/p'

rm -f "$folder"/test-* "$folder"/bench-* "$folder"/*.so
# shellcheck disable=SC2046  # one word a test
collect test- "$executables" test $profile -p freehold-tests --no-run $(cd tests/tests && ls cuda_*.rs | sed 's/\.rs$//; s/^/--test /')
collect '' "$executables" build $profile -p freehold-cuda --bin freehold --example kernel --example engine_loop
collect bench- "$executables" bench $profile -p freehold-benches --no-run --bench materialise_evict --bench allocate_free_card \
    --bench allocate_free --bench contention --bench fragmentation --bench resident_access
if [ "$profile" != --release ]; then
    collect '' "$driver" build $profile -p freehold-sim-driver
fi
cp scripts/torch_allocate.py tests/traces/mix_cut.csv.zst scripts/gpu_run.sh "$folder"
mv "$folder/gpu_run.sh" "$folder/run.sh"
chmod +x "$folder/run.sh"
echo "$folder is ready: copy it to a machine with a card and start run.sh there"
