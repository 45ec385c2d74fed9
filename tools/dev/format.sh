#!/usr/bin/env bash
# format.sh check|fix: clang-format over our C files. The style is that of clang-format 14 (Debian 12); other
# versions wrap some lines otherwise, so that there `check` only tells.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

MAJOR_WANTED=14

"$ROOT/tools/dev/deps.sh" test
tool=clang-format-$MAJOR_WANTED
have "$tool" || tool=clang-format
major=$("$tool" --version | sed -E 's/.*version ([0-9]+).*/\1/')
cd "$ROOT"
mapfile -t files < <(find base risk protocol rain room store settle server bench tools tests \
    -name node_modules -prune -o \( -name '*.c' -o -name '*.h' \) -print | sort)
case ${1:-check} in
fix) "$tool" -i "${files[@]}" ;;
check)
    if "$tool" --dry-run -Werror "${files[@]}"; then
        note "format: ${#files[@]} files are fine"
    elif [ "$major" != "$MAJOR_WANTED" ]; then
        warn "clang-format $major, not $MAJOR_WANTED: the differences above are not counted"
    else
        die "run ./dev format fix"
    fi
    ;;
*) die "format.sh check|fix" ;;
esac
