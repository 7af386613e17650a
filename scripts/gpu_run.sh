#!/bin/sh
# Runs everything beside it on this machine's card, and prints a table last. Exit status: how many parts failed.
# It was put here by scripts/gpu.sh. What each part said is in its .log, or .json; all figures are in figures.csv.
cd "$(dirname "$0")" || exit 1
export FREEHOLD_ON_CARD=1
trace=${FREEHOLD_TRACE:-mix_cut.csv.zst} scale=1 steps=2000 rounds=200 quick=
preload=
if [ -f libfreehold_sim_driver.so ]; then
    preload=$PWD/libfreehold_sim_driver.so scale=512 steps=50 rounds=2
    quick="--warm-up-time 0.1 --measurement-time 0.2 --sample-size 10"
fi
failed=0
echo "part,result,seconds" > results.csv
echo "part,figure,value" > figures.csv

# A part: its name, where its output goes, and its words.
part() {
    name=$1 out=$2
    shift 2
    begin=$(date +%s)
    if env ${preload:+LD_PRELOAD="$preload"} "$@" > "$out" 2> "$name.err"; then result=ok; else result=FAILED; failed=$((failed + 1)); fi
    [ -s "$name.err" ] || rm "$name.err"
    echo "$name,$result,$(($(date +%s) - begin))" >> results.csv
    echo "$name: $result"
}
absent() {
    echo "$1,absent,0" >> results.csv
}

part info info.json ./freehold info --json
for test in ./test-*; do
    part "$(basename "$test")" "$(basename "$test").log" "$test" --test-threads 1
done
part kernel kernel.log ./kernel
if command -v compute-sanitizer > compute-sanitizer.path; then
    for checked in kernel test-cuda_manager_behaves test-cuda_streams_are_ordered test-cuda_moves_are_ordered; do
        part "memcheck-$checked" "memcheck-$checked.log" \
            compute-sanitizer --tool memcheck --error-exitcode 9 "./$checked"
    done
else
    absent memcheck
fi

part engine_loop engine_loop.csv ./engine_loop --device cuda:0 --steps $steps --csv
part allocate_free allocate_free.log ./bench-allocate_free_card --rounds $rounds --csv allocate_free.csv
if python3 -c 'import torch; torch.cuda.init()' 2> torch.err; then
    part torch torch.csv python3 torch_allocate.py $rounds
else
    absent torch
fi
# shellcheck disable=SC2086  # words, or none
part materialise_evict materialise_evict.log ./bench-materialise_evict --bench $quick
# A name, then times and rates in brackets, the middle one being the estimate.
awk '/^(materialise_evict|move)\// { name = $1 } /time:/ { sub(/.*\[/, ""); split($0, t, " "); print "materialise_evict," name "," t[3] " " t[4] }
     /thrpt:/ { sub(/.*\[/, ""); split($0, t, " "); print "materialise_evict," name " rate," t[3] " " t[4] }' \
    materialise_evict.log >> figures.csv

# What needs no card, but likes its cores: beside the peers, in interleaved rounds, each with its record.
for bench in allocate_free contention fragmentation resident_access; do
    part "cores-$bench" "cores-$bench.log" env FREEHOLD_CRITERION=0 FREEHOLD_CSV="$PWD/cores-$bench.csv" ${quick:+FREEHOLD_ROUNDS=2} \
        "./bench-$bench" --bench
done

for budget in 0.5 0.8; do
    for policy in lru next-use; do
        name=replay-$budget-$policy
        part $name $name.json ./freehold replay "$trace" --device cuda:0 --scale $scale --budget $budget --policy $policy \
            --contents pinned --json
        tr ',{}' '\n\n\n' < $name.json | sed -n 's/^"\(mismatches\|refused\|loads\|load_bytes\|evictions\|moved_bytes\|seconds\)":/'$name',\1,/p' >> figures.csv
    done
done

# All that was measured, then which parts went well: a table, whether there is a `column` or not.
table() {
    awk -F, '{ printf "%-34s %-44s %s\n", $1, $2, $3 }' "$1"
}
echo
table figures.csv
echo
cat allocate_free.log
echo
awk -F, '{ printf "%-26s", $1; for (i = 2; i <= NF; i++) printf "%13s", $i; print "" }' engine_loop.csv
echo
table results.csv
exit $failed
