#!/usr/bin/env bash
# ./dev bench SUITE, ./dev soak: builds, then tests/bench/main.mjs or soak.mjs on private services in a run folder of its own; it stops what it
# started. What a killed run left is stopped by the next one.
set -euo pipefail
[ "${1:-}" = soak ] && own=soak || own=bench
export REDRAIN_RUN=${REDRAIN_RUN:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.run/$own}
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

SERVICES=$ROOT/tools/dev/services.sh

main() {
    local bench=$1 preset=${REDRAIN_BENCH_PRESET:-release} script=$ROOT/tests/bench/main.mjs player rc=0 arg
    if [ "$bench" = soak ]; then
        script=$ROOT/tests/bench/soak.mjs
        shift
    fi
    for arg in "$@"; do
        case $arg in --help | -h) exec node "$script" --help ;; esac
    done
    # Numbers of other services than these mean nothing.
    unset REDIS_URL MYSQL_URL KAFKA_BOOTSTRAP
    mkdir -p "$RUN"
    exec 7>"$RUN/bench.lock"
    flock -n 7 || die "another ./dev bench uses $RUN"
    if [ "${REDRAIN_BENCH_BUILT:-}" != 1 ]; then
        "$ROOT/tools/dev/deps.sh" run 7>&-
        "$ROOT/tools/dev/build.sh" "$preset" redrain-server redrain-settler redrainctl redrain-bench redrain-bench-server \
            redrain-bench-money redrain-ref-pool-lpop redrain-ref-settle-sql redrain-ref-ws-echo redrain-ref-kafka-produce >&2 7>&-
    fi
    stop() {
        "$SERVICES" wipe >&2 7>&- || true
    }
    trap 'kill -TERM "$player" 2>/dev/null || true' INT TERM HUP
    trap stop EXIT
    "$SERVICES" wipe >&2 7>&-
    mkdir -p "$RUN"
    if [ "$bench" = pool ]; then
        "$SERVICES" start redis >&2 7>&-
    else
        "$SERVICES" up >&2 7>&-
    fi
    raise_nofile
    REDRAIN_SERVICES_RUN=$RUN REDRAIN_BIN_DIR=$ROOT/build/$preset node "$script" "$@" 7>&- &
    player=$!
    wait "$player" || rc=$?
    while kill -0 "$player" 2>/dev/null; do wait "$player" || rc=$?; done
    exit "$rc"
}

player=
main "$@"
