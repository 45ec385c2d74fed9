#!/usr/bin/env bash
# ./dev chaos: builds, then tests/chaos/main.mjs in a run folder of its own. It stops what it started; what a killed run
# left is stopped by the next one.
set -euo pipefail
export REDRAIN_RUN=${REDRAIN_RUN:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.run/chaos}
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PRESET=release

main() {
    local previous= arg player rc=0
    for arg in "$@"; do
        case $arg in
        --help | -h) exec node "$ROOT/tests/chaos/main.mjs" --help ;;
        --preset=*) PRESET=${arg#--preset=} ;;
        esac
        [ "$previous" != --preset ] || PRESET=$arg
        previous=$arg
    done
    mkdir -p "$RUN"
    exec 7>"$RUN/chaos.lock"
    flock -n 7 || die "another ./dev chaos uses $RUN"
    "$ROOT/tools/dev/deps.sh" test 7>&-
    "$ROOT/tools/dev/build.sh" "$PRESET" redrain-server redrain-settler redrainctl >&2 7>&-
    raise_nofile
    REDRAIN_BIN_DIR=$ROOT/build/$PRESET node "$ROOT/tests/chaos/main.mjs" "$@" 7>&- &
    player=$!
    trap 'kill -TERM "$player" 2>/dev/null || true' INT TERM HUP
    # A trapped signal ends the first wait; the player still has to tidy up.
    wait "$player" || rc=$?
    while kill -0 "$player" 2>/dev/null; do wait "$player" || rc=$?; done
    exit "$rc"
}

main "$@"
