#!/bin/sh
# Weakens every ordering of the core above Relaxed, one at a time, and runs the model that must then fail.
#
#   loom_tests/weaken.sh | tee loom_tests/weakened.txt
#   loom_tests/weaken.sh WORD                              only the rows that contain WORD
#
# A row names a place by its function, so it outlives changes around it: edge % file % function % what becomes what % model.
# `Acquire > Relaxed` is about the first `Ordering::Acquire` of that function, `2 Acquire > Relaxed` about its second; what is
# no name of an ordering is taken as it stands. What loom cannot see (SeqCst against AcqRel) it sees by the fence that stands
# between two such accesses: a row that takes the fence away is about all SeqCst accesses of its function.
#
# It works on a copy. Exit code 1 when a weakened ordering goes unnoticed, a row no longer finds its place, or an ordering
# above Relaxed has no row.
set -uf
cd "$(dirname "$0")/.." || exit 1
target="${CARGO_TARGET_DIR:-$PWD/target}/weaken"
copy="$target/copy"
rm -rf "$copy" && mkdir -p "$copy" || exit 1
trap 'rm -rf "$copy"' EXIT
trap 'exit 1' INT TERM
cp -r core loom_tests Cargo.lock "$copy/"
sed 's/^members = .*/members = ["core", "loom_tests"]/' Cargo.toml >"$copy/Cargo.toml"
: >"$copy/covered"

# The source with the place changed; on the error stream the number of each line that this is about.
weaken='
    function indent(line) { match(line, /^ */); return RLENGTH }
    !inside && $0 ~ ("(^| )fn " name "[(<]") { inside = 1; level = indent($0) }
    inside && !done && (at = index($0, from)) && !--nth {
        $0 = substr($0, 1, at - 1) to substr($0, at + length(from)); done = 1; print NR > "/dev/stderr"
    }
    inside && from ~ /consistent/ && /Ordering::SeqCst/ { print NR > "/dev/stderr" }
    { print }
    inside && indent($0) == level && $0 ~ /^ *}/ { inside = 0 }
'
ordering() { case "$1" in Relaxed|Acquire|Release|AcqRel|SeqCst) echo "Ordering::$1" ;; *) echo "$1" ;; esac; }
trim() { echo "$1" | sed 's/^ *//; s/ *$//'; }

failures=0
while IFS='%' read -r edge file function change model; do
    case "$edge$file$function$change$model" in ''|\#*) continue ;; *"${1-}"*) ;; *) continue ;; esac
    edge=$(trim "$edge") file=$(trim "$file") function=$(trim "$function") model=$(trim "$model")
    from=$(trim "${change%%>*}") to=$(ordering "$(trim "${change#*>}")") nth=1
    case "$from" in [0-9]\ *) nth=${from%% *} from=${from#* } ;; esac
    row="$edge  $file  $function: $(trim "$change")"
    cp "core/src/$file" "$copy/before.rs"
    awk -v name="$function" -v from="$(ordering "$from")" -v to="$to" -v nth="$nth" "$weaken" "$copy/before.rs" \
        >"$copy/core/src/$file" 2>"$copy/lines"
    if cmp -s "$copy/before.rs" "$copy/core/src/$file"; then
        echo "STALE   $row: no such place"; failures=1; continue
    fi
    sed "s|.*|$file:&:${to#Ordering::}|" "$copy/lines" >>"$copy/covered"
    if (cd "$copy" && CARGO_TARGET_DIR="$target" timeout 300 cargo test -q -p freehold-loom-tests --test "$model") >"$copy/out" 2>&1; then
        echo "UNSEEN  $row passes $model"; failures=1
    elif ! grep -q "test result: FAILED" "$copy/out"; then
        echo "BROKEN  $row does not build, or takes more than 5 minutes"; failures=1
    else
        echo "seen    $row fails $model"
    fi
    cp "$copy/before.rs" "$copy/core/src/$file"
done <<'ROWS'
# ring
N-E3 % ring.rs % write_at % Acquire > Relaxed % ring_writers_of_two_rounds_do_not_mix
N-E2 % ring.rs % write_at % fence(Ordering::Release); > % ring_record_is_read_whole_or_not_at_all
N-E1 % ring.rs % write_at % 2 Release > Relaxed % ring_record_is_read_whole_or_not_at_all
N-E1 % ring.rs % record % Acquire > Relaxed % ring_record_is_read_whole_or_not_at_all
N-E2 % ring.rs % record % fence(Ordering::Acquire); > % ring_record_is_read_whole_or_not_at_all
# admission
A1 % admission/cell.rs % take % Acquire > Relaxed % admission_equal_number_newer_holder
A1 % admission/cell.rs % give % Release > Relaxed % admission_release_races_enqueue
A1 % admission/cell.rs % publish % AcqRel > Release % admission_equal_number_newer_holder
A2 % admission/cell.rs % publish % AcqRel > Acquire % admission_release_races_enqueue
A1 % admission/cell.rs % nobody_waits % Acquire > Relaxed % admission_release_races_enqueue
A2 % admission/cell.rs % settle % Acquire > Relaxed % admission_release_races_enqueue
R1 % admission/retired.rs % enter % Acquire > Relaxed % admission_replaced_ledger_outlives_its_readers
R1 % admission/retired.rs % leave % AcqRel > Acquire % admission_replaced_ledger_outlives_its_readers
R2 % admission/retired.rs % leave % AcqRel > Release % admission_replaced_ledger_outlives_its_readers
R2 % admission/retired.rs % sweep % Acquire > Relaxed % admission_swept_ledger_has_no_late_reader
R3 % admission/retired.rs % push % Release > Relaxed % admission_no_replaced_ledger_is_lost
R3 % admission/retired.rs % take_all % Acquire > Relaxed % admission_no_replaced_ledger_is_lost
# table
F-E1 % table/free.rs % top % Acquire > Relaxed % table_freed_slot_is_handed_out_once
F-E1 % table/free.rs % pop % Acquire > Relaxed % table_freed_slot_is_handed_out_once
F-E1 % table/free.rs % push % Release > Relaxed % table_freed_slot_is_handed_out_once
T-E1 % table/slot.rs % publish % Release > Relaxed % table_get_sees_a_whole_entry
T-E1 % table/slot.rs % read % Acquire > Relaxed % table_get_sees_a_whole_entry
T-E2 % table/slot.rs % slots_of % Acquire > Relaxed % table_get_sees_a_whole_entry
T-E2 % table/slot.rs % grow % Release > Relaxed % table_get_sees_a_whole_entry
T3 % table/mod.rs % retire % guard.defer(move || drop(entry)) > drop(entry) % table_get_against_retire
# residency
W1 % table/residency.rs % try_pin % Acquire > Relaxed % residency_pinned_entry_is_never_evicted
W1 % table/residency.rs % transition % AcqRel > Acquire % residency_one_access_materialises
W1 % table/residency.rs % transition % AcqRel > Release % residency_wanted_is_never_lost
W2 % table/residency.rs % transition % AcqRel > Release % residency_pinned_entry_is_never_evicted
W2 % table/residency.rs % unpin % Release > Relaxed % residency_pinned_entry_is_never_evicted
# buddy
E1 % buddy/one_piece.rs % take % AcqRel > Release % buddy_free_then_allocate
E1 % buddy/one_piece.rs % put % AcqRel > Acquire % buddy_coalesced_then_allocate
E1 % buddy/one_piece.rs % put_first % SeqCst > Acquire % buddy_latest_run_passes_through_another
E1 % buddy/claim.rs % take_at % AcqRel > Release % buddy_free_then_allocate
E1 % buddy/release.rs % put_piece % AcqRel > Acquire % buddy_coalesced_then_allocate
E1 % buddy/release.rs % put_first % SeqCst > Acquire % buddy_free_then_allocate
E1 % buddy/release.rs % close_full % AcqRel > Release % buddy_coalesced_then_allocate
E2 % buddy/one_piece.rs % take % AcqRel > Acquire % buddy_verdict_sees_the_latest_run_taken
E2 % buddy/one_piece.rs % put % AcqRel > Release % buddy_verdict_sees_a_first_token
E2 % buddy/claim.rs % take_at % AcqRel > Acquire % buddy_verdict_sees_a_split
E2 % buddy/release.rs % put_piece % AcqRel > Release % buddy_verdict_sees_a_first_token
E2 % buddy/release.rs % close_full % AcqRel > Acquire % buddy_claim_while_buddies_coalesce
E2 % buddy/latest.rs % put_first % desk.set_entered(sequence); > % buddy_verdict_sees_the_latest_run_put_first
E2 % buddy/desk.rs % freed % Release > Relaxed % buddy_verdict_sees_the_latest_run_taken
E2 % buddy/desk.rs % set % Release > Relaxed % buddy_verdict_sees_a_hole_that_moves
E2 % buddy/desk.rs % drop % Release > Relaxed % buddy_verdict_sees_a_split
E2 % buddy/desk.rs % sequence % Acquire > Relaxed % buddy_verdict_sees_a_split
E2 % buddy/search.rs % next_free % Acquire > Relaxed % buddy_verdict_sees_a_hole_that_moves
E2 % buddy/search.rs % next_free % 2 Acquire > Relaxed % buddy_verdict_sees_a_cleared_mark
E2 % buddy/tree.rs % free_above % Acquire > Relaxed % buddy_verdict_sees_a_split_behind_the_search
E2 % buddy/tree.rs % free_since % Acquire > Relaxed % buddy_verdict_sees_a_long_hole_that_moves
E3 % buddy/release.rs % is_marked % sequentially_consistent(); > % buddy_mark_is_not_lost
E3 % buddy/release.rs % is_marked % sequentially_consistent(); > % buddy_mark_above_the_latest_run_is_not_lost
E3 % buddy/search.rs % clear_mark % sequentially_consistent(); > % buddy_mark_is_not_lost
E4 % buddy/desk.rs % acquire % Acquire > Relaxed % buddy_slot_changes_hands
E4 % buddy/desk.rs % release % Release > Relaxed % buddy_slot_changes_hands
ROWS

# Every ordering above Relaxed has a row, and AcqRel one for each of its halves.
uncovered() {
    (cd core/src && grep -rnoE --include='*.rs' --exclude=sync.rs '^[^/]*Ordering::(Acquire|Release|AcqRel|SeqCst)' .) |
        sed -E 's|^\./([^:]*):([0-9]*):.*Ordering::|\1:\2:|' >"$copy/sites"
    while IFS=: read -r file line ordering; do
        case "$ordering" in AcqRel) halves="Acquire Release" ;; *) halves=".*" ;; esac
        for half in $halves; do
            grep -qx "$file:$line:$half" "$copy/covered" ||
                echo "UNCOVERED $file:$line $ordering has no row that weakens it$([ "$half" = '.*' ] || echo " to $half")"
        done
    done <"$copy/sites"
}
if [ $# -eq 0 ] && ! uncovered | awk '{ print } END { exit NR > 0 }'; then failures=1; fi
exit $failures
