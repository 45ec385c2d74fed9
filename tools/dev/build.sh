#!/usr/bin/env bash
# build.sh PRESET [TARGET…]: configures and builds a preset of CMakePresets.json into build/PRESET, quietly.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PRESET=${1:-dev}
shift || true
TREE=${REDRAIN_TREE:-$ROOT}
DIR=$TREE/build/$PRESET
LOG=$DIR/dev-build.log

cd "$TREE"
mkdir -p "$DIR"
launcher=()
if have ccache; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
    # Paths relative to the tree: another clone, or a scratch copy, hits the same cache.
    export CCACHE_BASEDIR=$TREE CCACHE_NOHASHDIR=1
fi
# Presets that changed since are options that an older configuration does not know.
if [ ! -f "$DIR/build.ninja" ] || ! cmp -s CMakePresets.json "$DIR/.presets"; then
    note "configuring $PRESET"
    cmake --preset "$PRESET" "${launcher[@]}" >"$LOG" 2>&1 || {
        cat "$LOG" >&2
        die "cmake --preset $PRESET failed"
    }
    cp CMakePresets.json "$DIR/.presets"
fi
targets=()
for target in "$@"; do targets+=(--target "$target"); done
note "building $PRESET"
if ! cmake --build "$DIR" -j "$JOBS" ${targets[@]+"${targets[@]}"} >"$LOG" 2>&1; then
    grep -Ev '^\[[0-9]+/[0-9]+\] (Building|Linking|Generating)' "$LOG" | head -n 80 >&2
    die "the build failed (whole log: $LOG)"
fi
