#!/usr/bin/env bash
# tidy.sh [FILE…]: clang-tidy over our C files (all of them, or those named). A file whose text, headers, flags and
# checks are as in the last clean run is not looked at again (build/tidy keeps the marks).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/tools/dev/deps.sh" test
cd "$ROOT"
cmake --preset dev >/dev/null
# Sources that the build writes must be there before anything is parsed.
targets=$(ninja -C build/dev -t targets all)
mapfile -t written < <(sed -nE 's/^([^ ]+\.[ch]): CUSTOM_COMMAND.*/\1/p' <<<"$targets")
[ "${#written[@]}" = 0 ] || ninja -C build/dev "${written[@]}" >/dev/null
mkdir -p build/tidy

if [ $# -gt 0 ]; then
    files=("$@")
else
    mapfile -t files < <(node -e 'const db = JSON.parse(require("fs").readFileSync("build/dev/compile_commands.json"));
        const root = process.cwd() + "/";
        for (const f of new Set(db.map((e) => e.file)))
            if (f.startsWith(root) && !f.startsWith(root + "build/") && !f.startsWith(root + "tests/")) console.log(f.slice(root.length));' | sort)
fi

# One mark for what all files share: the checks, the tool, every header.
shared=$({
    cat .clang-tidy
    clang-tidy --version
    find base risk protocol rain room store settle server bench tools -name '*.h' -print0 | sort -z | xargs -0 cat
} | sha256sum | cut -d' ' -f1)
export shared

tidy_one() {
    local mark
    mark=build/tidy/$({
        printf '%s %s\n' "$shared" "$1"
        cat "$1"
    } | sha256sum | cut -d' ' -f1)
    [ -e "$mark" ] && return 0
    if out=$(clang-tidy -quiet -p build/dev --warnings-as-errors='*' "$1" 2>&1); then
        : >"$mark"
    else
        printf '%s\n' "$out" | grep -v 'warnings generated\|Suppressed\|Use -header-filter' >&2
        return 1
    fi
}
export -f tidy_one

note "clang-tidy: ${#files[@]} files"
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$JOBS" bash -c 'tidy_one "$1"' _ || die "clang-tidy found something"
