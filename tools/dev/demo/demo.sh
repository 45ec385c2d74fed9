#!/usr/bin/env bash
# ./dev demo: brings everything up in a run folder of its own, lets demo.mjs play and judge a rain, serves until
# Ctrl-C, and stops what it started (and nothing else).
set -euo pipefail
export REDRAIN_RUN=${REDRAIN_RUN:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)/.run/demo}
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

PLAYER=
KEEP=

finish() {
    local rc=$?
    trap - EXIT
    trap '' INT TERM HUP
    if [ -n "$PLAYER" ] && kill -0 "$PLAYER" 2>/dev/null; then
        kill -TERM "$PLAYER" 2>/dev/null || true
        wait "$PLAYER" 2>/dev/null || true
    fi
    if [ -n "$KEEP" ] && [ "$rc" -lt 100 ]; then
        note "left running (./dev down stops it): REDRAIN_RUN=$RUN"
    else
        "$ROOT/tools/dev/stack.sh" down
    fi
    exit "$rc"
}

main() {
    local rc=0 arg
    for arg in "$@"; do
        case $arg in
        --help | -h)
            sed -n '/^export const HELP = `/,/^`;/{s/^export const HELP = `//;/^`;/d;p}' "$ROOT/tools/dev/demo/options.mjs"
            exit 0
            ;;
        --keep) KEEP=1 ;;
        esac
    done
    mkdir -p "$RUN"
    exec 7>"$RUN/demo.lock"
    flock -n 7 || die "another ./dev demo runs in this tree"
    "$ROOT/tools/dev/deps.sh" run
    node "$ROOT/tools/dev/demo/options.mjs" "$@" || exit 2
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    # The slowest of the services starts while the compiler runs.
    "$ROOT/tools/dev/services.sh" up 7>&- &
    local services=$!
    "$ROOT/tools/dev/build.sh" release >&2 || { wait "$services" || true; exit 101; }
    wait "$services" || exit 101
    "$ROOT/tools/dev/stack.sh" up "$ROOT/build/release" 7>&- || exit 101
    set -a
    # shellcheck disable=SC1091
    . "$RUN/env"
    set +a
    raise_nofile
    REDRAIN_BIN_DIR=$ROOT/build/release REDRAIN_PORT=$(port server) \
        node "$ROOT/tools/dev/demo/demo.mjs" "$@" 7>&- &
    PLAYER=$!
    wait "$PLAYER" || rc=$?
    PLAYER=
    return $rc
}

main "$@"
