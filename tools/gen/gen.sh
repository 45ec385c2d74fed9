#!/usr/bin/env bash
# gen.sh write|check [path of redrain-gen]
# write: puts what redrain-gen prints into its files. check: says what write would change, exit 1 if anything.
set -euo pipefail
cd "$(dirname "$0")/../.."

mode=${1:-}
gen=${2:-}
if [[ $mode != write && $mode != check ]]; then
    echo "usage: tools/gen/gen.sh write|check [path of redrain-gen]" >&2
    exit 2
fi
if [[ -z $gen ]]; then
    for gen in build/*/tools/gen/redrain-gen; do
        [[ -x $gen ]] && break
    done
fi
if [[ ! -x $gen ]]; then
    echo "gen.sh: build the target redrain-gen first, or name the program" >&2
    exit 2
fi

temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
for part in $("$gen"); do
    "$gen" "$part" > "$temp/$part"
done

# Whole files.
cp "$temp/constants" "$temp/constants.js"
cp "$temp/config" "$temp/redrain.conf"

# Documents: the lines between "<!-- generated:PART -->" and "<!-- end -->".
splice() {
    awk -v dir="$temp" '
        /^<!-- generated:[a-z-]+ -->$/ {
            print
            part = $2
            sub("generated:", "", part)
            lines = 0
            while ((getline line < (dir "/" part)) > 0) {
                print line
                lines++
            }
            if (lines == 0) {
                print FILENAME ": no part " part > "/dev/stderr"
                exit 3
            }
            inside = 1
            next
        }
        /^<!-- end -->$/ { inside = 0 }
        !inside { print }
        END { if (inside) { print FILENAME ": <!-- end --> is missing" > "/dev/stderr"; exit 3 } }
    ' "$1"
}
splice docs/PROTOCOL.md > "$temp/PROTOCOL.md"
splice docs/OPERATIONS.md > "$temp/OPERATIONS.md"

stale=0
for target in web-demo/constants.js configs/redrain.conf docs/PROTOCOL.md docs/OPERATIONS.md; do
    fresh=$temp/${target##*/}
    if [[ $mode == write ]]; then
        cmp -s "$fresh" "$target" || { cp "$fresh" "$target"; echo "wrote $target"; }
    elif ! diff -u --label "$target (now)" --label "$target (from the tables)" "$target" "$fresh"; then
        stale=1
    fi
done
if [[ $stale == 1 ]]; then
    echo "gen.sh: stale; run tools/gen/gen.sh write" >&2
fi
exit $stale
