#!/bin/sh
# Weakens every ordering of the buddy above Relaxed, one at a time, and runs the model that must then fail.
#
#   loom_tests/weaken.sh [WORD] | tee loom_tests/weakened.txt      only the rows that contain WORD
#
# One has no row: the acquire in `Tree::free_until` and its mirrors. What it reads is read once more, with acquire, by `search::next_free` in
# every schedule that loom was given; it is kept because the argument in verdict.rs is about every look of a search.
#
# It edits the sources in place and puts them back, also when it is interrupted. Exit code 1 when a weakened ordering goes
# unnoticed, or a row no longer matches the source.
set -u
cd "$(dirname "$0")/.." || exit 1
src=core/src
saved=$(mktemp -d)
cp -r "$src/buddy" "$src/sync.rs" "$saved/"
restore() { cp -r "$saved/buddy" "$saved/sync.rs" "$src/"; }
trap 'restore; rm -rf "$saved"' EXIT
trap 'exit 1' INT TERM

failures=0
# edge % file % what is weakened (a sed expression) % model
while IFS='%' read -r edge file expression model; do
    case "$edge$file$expression$model" in ''|\#*) continue ;; *"${1-}"*) ;; *) continue ;; esac
    restore
    sed -i "$expression" "$src/$file"
    if cmp -s "$src/$file" "$saved/$file"; then
        echo "STALE   $edge $file: no line matches $expression"; failures=1; continue
    fi
    if timeout 300 cargo test -q -p freehold-loom-tests --test "$model" >"$saved/out" 2>&1; then
        echo "UNSEEN  $edge $file: $expression passes $model"; failures=1
    elif grep -q "^error" "$saved/out" && ! grep -q "test result: FAILED" "$saved/out"; then
        echo "BROKEN  $edge $file: $expression does not build"; failures=1
    else
        echo "seen    $edge $file: $expression fails $model"
    fi
done <<'ROWS'
E1%buddy/claim.rs%s/Ordering::AcqRel/Ordering::Release/%buddy_free_then_allocate
E1%buddy/release.rs%s/seen | bits, Ordering::AcqRel/seen | bits, Ordering::Acquire/%buddy_free_then_allocate
E1%buddy/release.rs%s/seen | bits, Ordering::SeqCst/seen | bits, Ordering::Acquire/%buddy_verdict_sees_a_first_token
E1%buddy/release.rs%s/compare_exchange(FULL, 0, Ordering::AcqRel/compare_exchange(FULL, 0, Ordering::Release/%buddy_coalesced_then_allocate
E2%buddy/claim.rs%s/Ordering::AcqRel/Ordering::Acquire/%buddy_verdict_sees_a_split
E2%buddy/claim.rs%s/Ordering::AcqRel/Ordering::Acquire/%buddy_verdict_sees_a_hole_that_moves
E2%buddy/release.rs%s/compare_exchange(FULL, 0, Ordering::AcqRel/compare_exchange(FULL, 0, Ordering::Acquire/%buddy_claim_while_buddies_coalesce
E2%buddy/release.rs%s/seen | bits, Ordering::AcqRel/seen | bits, Ordering::Release/%buddy_verdict_sees_a_first_token
E2%buddy/desk.rs%s/sequence, FREED, Ordering::Release/sequence, FREED, Ordering::Relaxed/%buddy_verdict_sees_a_hole_that_moves
E2%buddy/desk.rs%s/sequence, LEAVE, Ordering::Release/sequence, LEAVE, Ordering::Relaxed/%buddy_verdict_sees_a_split
E2%buddy/desk.rs%s/sequence.load(Ordering::Acquire)/sequence.load(Ordering::Relaxed)/%buddy_verdict_sees_a_split
E2%buddy/search.rs%s/load(Ordering::Acquire)/load(Ordering::Relaxed)/%buddy_verdict_sees_a_hole_that_moves
E3%sync.rs%s/atomic::fence(atomic::Ordering::SeqCst)/()/%buddy_mark_is_not_lost
E4%buddy/desk.rs%s/compare_exchange(0, 1, Ordering::Acquire/compare_exchange(0, 1, Ordering::Relaxed/%buddy_slot_changes_hands
E4%buddy/desk.rs%s/owned.store(0, Ordering::Release)/owned.store(0, Ordering::Relaxed)/%buddy_slot_changes_hands
ROWS
exit $failures
