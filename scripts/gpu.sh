#!/bin/sh
# Builds what is to run on a machine with a card and its driver, and no Rust: the tests of the CUDA path, the benches, the
# examples and the command, as release binaries in one folder with a script that runs them and prints a table last.
#
#   scripts/gpu.sh [FOLDER]      here: builds into FOLDER (default target/gpu)
#   FOLDER/run.sh                there: needs the driver only; writes results.csv beside itself
#
# The tests run on the machine's own driver (FREEHOLD_ON_CARD); what they ask of the simulated one is left out.
set -eu
folder=${1:-target/gpu}
cd "$(dirname "$0")/.."
mkdir -p "$folder"

# The paths of the executables that a cargo command built.
executables() {
    cargo "$@" --release --message-format=json-render-diagnostics | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'
}

tests=$(cd tests/tests && ls cuda_*.rs | sed 's/\.rs$//; s/^/--test /')
executables test -p freehold-tests --no-run $tests | while read -r path; do
    name=$(basename "$path" | sed 's/-[0-9a-f]*$//')
    cp "$path" "$folder/test-$name"
done
executables build -p freehold-cuda --bin freehold --example kernel | while read -r path; do
    cp "$path" "$folder/$(basename "$path")"
done
benches="materialise_evict allocate_free contention fragmentation resident_access"
for bench in $benches; do
    executables bench -p freehold-benches --no-run --bench "$bench" | while read -r path; do
        cp "$path" "$folder/bench-$bench"
    done
done
git describe --always --dirty > "$folder/commit"

cat > "$folder/run.sh" <<'RUN'
#!/bin/sh
# Runs everything beside it on this machine's card. Exit status: how many parts failed.
cd "$(dirname "$0")"
export FREEHOLD_ON_CARD=1
failed=0
echo "part,result,seconds" > results.csv
part() {
    name=$1
    shift
    begin=$(date +%s)
    if "$@" > "$name.log" 2>&1; then result=ok; else result=FAILED; failed=$((failed + 1)); fi
    echo "$name,$result,$(($(date +%s) - begin))" >> results.csv
}
part info ./freehold info --json
for test in ./test-*; do part "$(basename "$test")" "$test" --test-threads 1; done
part kernel ./kernel
part main-job ./freehold
part materialise_evict ./bench-materialise_evict --bench
# What needs no card, but likes its cores: beside the peers, in interleaved rounds, each with its record.
export FREEHOLD_CRITERION=0 FREEHOLD_COMMIT="$(cat commit)"
for bench in allocate_free contention fragmentation resident_access; do
    export FREEHOLD_CSV="$bench.csv"
    part "$bench" "./bench-$bench" --bench
done
column -s, -t results.csv 2>/dev/null || cat results.csv
exit $failed
RUN
chmod +x "$folder/run.sh"
echo "$folder is ready: copy it to a machine with a card and start run.sh there"
