#!/usr/bin/env bash
# mutate.sh [--json] [NAME…]: each tests/mutations/NAME.patch takes one defence away; the tests its header names must
# turn red. All of it in a scratch copy of the tree under .run/mutate. Header lines of a patch:
#   # test: unit test_x            cmocka programs or tests/unit files (a regular expression)
#   # test: integration FILE [| TEST NAME]     files of tests/integration, and in them the tests of that name
# The last line with --json: {"mutations": {"NAME": "red" or "green"}}. Exit code 1 unless all are red.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

WORK=$ROOT/.run/mutate
TREE=$WORK/tree
LIMIT_S=600
PRESET=${REDRAIN_MUTATE_PRESET:-dev}

json=
names=()
for arg in "$@"; do
    case $arg in
    --json) json=1 ;;
    -*) die "mutate.sh [--json] [NAME…]" ;;
    *) names+=("${arg%.patch}") ;;
    esac
done
[ "${#names[@]}" -gt 0 ] || mapfile -t names < <(cd "$ROOT/tests/mutations" && ls -- *.patch 2>/dev/null | sed 's/\.patch$//')
[ "${#names[@]}" -gt 0 ] || die "no patches in tests/mutations"

patch_of() { printf '%s/tests/mutations/%s.patch\n' "$ROOT" "$1"; }

tests_of() {
    local spec
    spec=$(sed -n 's/^# test: *//p' "$(patch_of "$1")")
    [ -n "$spec" ] || die "$1.patch has no '# test:' line"
    printf '%s\n' "$spec"
}

# The tree as it is now; times are kept, so that only what changed is built again.
copy_tree() {
    mkdir -p "$TREE"
    (cd "$ROOT" && git ls-files -z -co --exclude-standard | while IFS= read -r -d '' f; do
        [ -e "$f" ] && printf '%s\0' "$f"
    done | tar --null -T - -cf -) | tar -xf - -C "$TREE"
    (cd "$TREE" && find . \( -name node_modules -o -path ./build -o -path ./.run \) -prune -o -type f -print | sed 's|^\./||') |
        while IFS= read -r f; do [ -e "$ROOT/$f" ] || rm -f "$TREE/$f"; done
    ln -sfn "$ROOT/tests/node_modules" "$TREE/tests/node_modules"
}

build() { REDRAIN_TREE=$TREE "$TREE/tools/dev/build.sh" "$PRESET" >"$WORK/build.log" 2>&1; }

# run_spec SPEC LOG: prints "PASSED FAILED" of the tests; nothing if they could not be run.
run_spec() {
    local part file name rest
    part=${1%% *}
    rest=${1#* }
    file=${rest%% |*}
    name=
    case $rest in *' | '*) name=${rest#* | } ;; esac
    [ "$part" != unit ] || file=${file##*/}
    local -a more=()
    [ -z "$name" ] || more=(--name "$name")
    REDRAIN_RUN=$WORK/run timeout -k 60 "$LIMIT_S" "$TREE/tools/dev/test.sh" --no-deps --build "$TREE/build/$PRESET" \
        ${more[@]+"${more[@]}"} "$part" -- "$file" >"$2" 2>&1 </dev/null || true
    tail -n 1 "$2" | sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, [0-9]+ skipped$/\1 \2/p'
}

"$ROOT/tools/dev/deps.sh" test
mkdir -p "$WORK"
# A run, stopped or not, leaves objects of patched files: their text is laid anew, with a new time, until it was built once.
rm -f "$WORK/dirty.now"
copy_tree
if [ -s "$WORK/dirty" ]; then (cd "$TREE" && xargs -r touch <"$WORK/dirty"); fi
build || {
    tail -n 30 "$WORK/build.log" >&2
    die "the tree does not build"
}
: >"$WORK/dirty"

say "the tests, unmutated"
mapfile -t specs < <(for name in "${names[@]}"; do tests_of "$name"; done | sort -u)
for spec in "${specs[@]}"; do
    counts=$(run_spec "$spec" "$WORK/clean.log")
    if [ -z "$counts" ] || [ "${counts#* }" != 0 ] || [ "${counts% *}" = 0 ]; then
        tail -n 25 "$WORK/clean.log" >&2
        die "'$spec' is not green without a mutation (${counts:-no counts})"
    fi
    note "green: $spec (${counts% *} tests)"
done

declare -A verdicts
rc=0
for name in "${names[@]}"; do
    patch=$(patch_of "$name")
    verdicts[$name]=green
    sed -nE 's|^\+\+\+ b/([^	]*).*|\1|p' "$patch" >"$WORK/dirty.one"
    cat "$WORK/dirty.one" >>"$WORK/dirty"
    if ! (cd "$TREE" && patch -p1 --no-backup-if-mismatch -s -F2 <"$patch") >"$WORK/patch.log" 2>&1; then
        cat "$WORK/patch.log" >&2
        warn "$name: the patch no longer applies"
        copy_tree
        (cd "$TREE" && xargs -r touch <"$WORK/dirty.one")
        rc=1
        continue
    fi
    if ! build; then
        tail -n 30 "$WORK/build.log" >&2
        warn "$name: the mutated tree does not build"
    else
        while IFS= read -r spec; do
            counts=$(run_spec "$spec" "$WORK/$name.log")
            if [ -n "$counts" ] && [ "${counts#* }" != 0 ]; then
                verdicts[$name]=red
                break
            fi
            [ -n "$counts" ] || warn "$name: '$spec' ended without counts ($WORK/$name.log)"
        done < <(tests_of "$name")
    fi
    (cd "$TREE" && patch -R -p1 --no-backup-if-mismatch -s -F2 <"$patch") >/dev/null
    (cd "$TREE" && xargs -r touch <"$WORK/dirty.one")
    [ "${verdicts[$name]}" = red ] || rc=1
    say "$name: ${verdicts[$name]}"
done

if [ -n "$json" ]; then
    out=
    for name in "${names[@]}"; do out+="${out:+,}\"$name\":\"${verdicts[$name]}\""; done
    printf '{"mutations":{%s}}\n' "$out"
fi
exit $rc
