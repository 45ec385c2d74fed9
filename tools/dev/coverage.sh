#!/usr/bin/env bash
# coverage.sh [--json] [--unit-only]: builds with gcov, runs the unit and integration tests, sums per folder.
set -euo pipefail
export REDRAIN_RUN=${REDRAIN_RUN:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.run/coverage}
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

json=
parts=(unit integration)
for arg in "$@"; do
    case $arg in
    --json) json=--json ;;
    --unit-only) parts=(unit) ;;
    *) die "coverage.sh [--json] [--unit-only]" ;;
    esac
done

mkdir -p "$RUN"
"$ROOT/tools/dev/deps.sh" test
find "$ROOT/build/coverage" -name '*.gcda' -delete 2>/dev/null || true
"$ROOT/tools/dev/test.sh" --no-deps --preset coverage "${parts[@]}" >"$RUN/test.out" 2>&1 ||
    {
        tail -n 25 "$RUN/test.out" >&2
        warn "not all tests passed (whole output: $RUN/test.out): the figures are of what ran"
    }
tail -n 1 "$RUN/test.out" >&2
cd "$ROOT"
# Branches inside macros are not decisions of ours: an assertion's failing side aborts, uthash expands to dozens.
gcovr --root . --object-directory build/coverage --json-summary "$RUN/summary.json" --exclude-unreachable-branches \
    --exclude-branches-by-pattern '.*(RR_ASSERT|HASH_(FIND|ADD|DEL|ITER|COUNT)).*' \
    --filter base/ --filter risk/ --filter protocol/ --filter rain/ --filter room/ --filter store/ --filter settle/ \
    --filter server/ --filter tools/ctl/ build/coverage >"$RUN/gcovr.log" 2>&1 || {
    tail -n 20 "$RUN/gcovr.log" >&2
    die "gcovr failed"
}
node tools/dev/coverage.mjs "$RUN/summary.json" tools/dev/coverage-bounds.json $json
