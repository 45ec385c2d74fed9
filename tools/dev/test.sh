#!/usr/bin/env bash
# Runs the tests on private services of their own; ./dev test is this.
#   test.sh [--preset NAME | --build DIR] [--no-deps] [--name REGEX] [--long] [unit|integration|e2e]… [-- PATTERN…]
# PATTERN narrows: names of unit-test binaries, or of integration and e2e test files (regular expressions); --name: of
# the tests in those files.
# The last line is "N passed, N failed, N skipped". Results, logs and sanitizer reports stay in REDRAIN_RUN.
set -euo pipefail
export REDRAIN_RUN=${REDRAIN_RUN:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.run/test}
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PRESET=asan
DEPS=1
BUILD=
NAME=
PARTS=()
PATTERNS=()
SERVICES_PID=
SERVICES_USED=

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        --preset) PRESET=${2:?} && shift ;;
        --build) BUILD=${2:?} && shift ;; # an existing build folder, not built again
        --name) NAME=${2:?} && shift ;;
        --no-deps) DEPS= ;;
        --long) export REDRAIN_TEST_LONG=1 ;; # read by tests that have a longer version of themselves
        unit | integration | e2e) PARTS+=("$1") ;;
        --)
            shift
            PATTERNS=("$@")
            break
            ;;
        *) die "test.sh: what is '$1'? (unit, integration, e2e)" ;;
        esac
        shift
    done
    [ "${#PARTS[@]}" -gt 0 ] || PARTS=(unit integration e2e)
}

wants() {
    local part
    for part in "${PARTS[@]}"; do [ "$part" != "$1" ] || return 0; done
    return 1
}

finish() {
    local rc=$?
    trap - EXIT INT TERM
    if [ -n "$SERVICES_USED" ]; then
        [ -z "$SERVICES_PID" ] || wait "$SERVICES_PID" 2>/dev/null || true
        "$ROOT/tools/dev/services.sh" down >&2 || true
    fi
    exit $rc
}

services_begin() {
    SERVICES_USED=1
    # Left over from a run that was killed; and each run starts from empty services.
    "$ROOT/tools/dev/services.sh" wipe
    "$ROOT/tools/dev/services.sh" up &
    SERVICES_PID=$!
}

services_ready() {
    wait "$SERVICES_PID" || die "the services did not start"
    SERVICES_PID=
    set -a
    # shellcheck disable=SC1091
    . "$RUN/env"
    set +a
    [ -z "${REDRAIN_REQUIRE_KAFKA:-}" ] || [ "$REDRAIN_BROKER" = kafka ] ||
        die "a real Kafka of our own is required here, and the broker is '$REDRAIN_BROKER'"
    export REDRAIN_SERVICES=$ROOT/tools/dev/services.sh REDRAIN_SERVICES_RUN=$RUN
}

# find_tests KIND: the node test files of a part, narrowed by PATTERNS. What is neither integration nor e2e is unit.
find_tests() {
    local file pattern
    while IFS= read -r file; do
        case $1:$file in
        integration:tests/integration/* | e2e:tests/e2e/*) ;;
        unit:tests/integration/* | unit:tests/e2e/* | integration:* | e2e:*) continue ;;
        esac
        if [ "${#PATTERNS[@]}" = 0 ]; then
            printf '%s\n' "$file"
        else
            for pattern in "${PATTERNS[@]}"; do
                if [[ $file =~ $pattern ]]; then
                    printf '%s\n' "$file"
                    break
                fi
            done
        fi
    done < <(cd "$ROOT" && find tests -name node_modules -prune -o -name '*.test.mjs' -print | sort)
}

# cmocka_part LABEL
cmocka_part() {
    local result=$RUN/results/cmocka-$1.json
    say "$1: cmocka"
    node "$ROOT/tools/dev/cmocka.mjs" "$1" "$BUILD" "$RUN/results/cmocka-$1" "$result" "$JOBS" \
        ${PATTERNS[@]+"${PATTERNS[@]}"} || true
    [ -s "$result" ] || die "the tests labelled '$1' could not be listed"
}

# node_part KIND CONCURRENCY
node_part() {
    local kind=$1 result=$RUN/results/node-$1.json
    local -a files
    mapfile -t files < <(find_tests "$kind")
    [ "${#files[@]}" -gt 0 ] || return 0
    say "$kind: ${#files[@]} file(s) by node:test"
    local rc=0
    # A file that failed may have left something open that keeps it from ending.
    (cd "$ROOT" && timeout --foreground -k 30 2700 node --test --test-concurrency="$2" ${NAME:+--test-name-pattern="$NAME"} --test-reporter=spec --test-reporter-destination=stdout \
        --test-reporter="$ROOT/tools/dev/count-reporter.mjs" --test-reporter-destination="$result" \
        "${files[@]}") </dev/null || rc=$?
    if [ ! -s "$result" ]; then
        printf '{"passed":0,"failed":[{"name":"%s","message":"node --test ended with %s and no counts"}],"skipped":[]}' \
            "$kind" "$rc" >"$result"
    fi
}

sanitizer_reports() {
    local file
    local -a list=()
    for file in "$RUN"/sanitizer/*; do
        [ -s "$file" ] || continue
        printf '%s\n' "---- $file" >&2
        head -n 40 "$file" >&2
        list+=("$file")
    done
    [ "${#list[@]}" -gt 0 ] || return 0
    node -e 'const [out, ...files] = process.argv.slice(1); require("fs").writeFileSync(out, JSON.stringify({passed: 0,
        failed: files.map((name) => ({name, message: "sanitizer report"})), skipped: []}))' \
        "$RUN/results/sanitizer.json" "${list[@]}"
}

main() {
    parse "$@"
    mkdir -p "$RUN"
    exec 7>"$RUN/test.lock"
    flock -n 7 || die "another test run uses $RUN"
    trap finish EXIT
    trap 'exit 130' INT TERM
    [ -z "$DEPS" ] || "$ROOT/tools/dev/deps.sh" test
    rm -rf "$RUN/results" "$RUN/sanitizer"
    mkdir -p "$RUN/results" "$RUN/sanitizer"
    if wants integration || wants e2e; then services_begin 7>&-; fi
    if [ -z "$BUILD" ]; then
        BUILD=$ROOT/build/$PRESET
        "$ROOT/tools/dev/build.sh" "$PRESET" >&2
    fi
    raise_nofile
    export REDRAIN_ROOT=$ROOT REDRAIN_BIN_DIR=$BUILD
    local common="log_path=$RUN/sanitizer/report:log_suffix=.txt"
    export ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=0:$common"
    export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1:$common"
    export TSAN_OPTIONS="halt_on_error=1:suppressions=$ROOT/tests/tsan/suppressions.txt:$common"
    REDRAIN_CHROMIUM=$("$ROOT/tools/dev/deps.sh" chromium || true)
    export REDRAIN_CHROMIUM
    if wants unit; then
        cmocka_part unit 7>&-
        node_part unit "$JOBS" 7>&-
    fi
    if wants integration || wants e2e; then services_ready; fi
    # One file after the other: some of them pause or kill the services they share.
    if wants integration; then
        cmocka_part integration 7>&-
        node_part integration 1 7>&-
    fi
    if wants e2e; then node_part e2e 1 7>&-; fi
    sanitizer_reports
    if [ -n "$SERVICES_USED" ]; then
        "$ROOT/tools/dev/services.sh" down >&2
        SERVICES_USED=
    fi
    node "$ROOT/tools/dev/sum.mjs" "$RUN"/results/*.json
}

main "$@"
