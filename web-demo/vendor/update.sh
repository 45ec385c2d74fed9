#!/bin/sh
# Fetches the browser builds of @msgpack/msgpack and uPlot through npm and puts them beside this script.
#
#   update.sh            refetch the pinned versions; fail if a file differs from SHA256SUMS
#   update.sh --accept   the same, but write a new SHA256SUMS (after a deliberate version change)
#
# The npm client itself checks the registry's integrity hash; SHA256SUMS pins what was reviewed.
set -eu

msgpack=3.1.3
uplot=1.6.32
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

cd "$work"
npm pack --silent "@msgpack/msgpack@$msgpack" >/dev/null
tar -xzf msgpack-msgpack-*.tgz
# The last line of the build points at a source map that is not shipped; browsers would ask for it.
sed '/^\/\/# sourceMappingURL=/d' package/dist.umd/msgpack.min.js >msgpack.min.js
cp package/LICENSE LICENSE
rm -r package
npm pack --silent "uplot@$uplot" >/dev/null
tar -xzf uplot-*.tgz
cp package/dist/uPlot.iife.min.js uPlot.iife.min.js
cp package/dist/uPlot.min.css uPlot.min.css
cp package/LICENSE LICENSE.uPlot

files="msgpack.min.js LICENSE uPlot.iife.min.js uPlot.min.css LICENSE.uPlot"
if [ "${1:-}" = "--accept" ]; then
    # shellcheck disable=SC2086
    sha256sum $files >SHA256SUMS
    cp SHA256SUMS "$here/SHA256SUMS"
else
    cp "$here/SHA256SUMS" SHA256SUMS
    sha256sum --check --quiet SHA256SUMS
fi
# shellcheck disable=SC2086
cp $files "$here/"
echo "vendor: @msgpack/msgpack $msgpack and uPlot $uplot are in place"
