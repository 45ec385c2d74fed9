#!/usr/bin/env bash
# simulate.sh [options]: builds tests/sim optimised into build/sim and runs it; ./dev simulate is this.
#   --seeds N  --first S  --seed S [--trace]  --mutations  --mutation NAME  --jobs N  --json  --help
# Exit code 1 when a promise was broken, or a rule could be taken away without anybody noticing.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

DIR=$ROOT/build/sim
LOG=$DIR/dev-build.log

"$ROOT/tools/dev/deps.sh" test
mkdir -p "$DIR"
if [ ! -f "$DIR/build.ninja" ]; then
    note "configuring sim"
    launcher=()
    ! have ccache || launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
    (cd "$ROOT" && cmake --preset release -B "$DIR" -DRR_TESTS=ON "${launcher[@]}") >"$LOG" 2>&1 || {
        cat "$LOG" >&2
        die "cmake failed"
    }
fi
note "building redrain-sim"
cmake --build "$DIR" -j "$JOBS" --target redrain-sim >"$LOG" 2>&1 || {
    grep -Ev '^\[[0-9]+/[0-9]+\] (Building|Linking|Generating)' "$LOG" | head -n 80 >&2
    die "the build failed (whole log: $LOG)"
}
exec "$DIR/tests/sim/redrain-sim" "$@"
