#!/bin/sh
# Fetches the browser build of @msgpack/msgpack through npm and puts it beside this script.
#
#   update.sh            refetch the pinned version; fail if a file differs from SHA256SUMS
#   update.sh --accept   the same, but write a new SHA256SUMS (after a deliberate version change)
#
# The npm client itself checks the registry's integrity hash; SHA256SUMS pins what was reviewed.
set -eu

version=3.1.3
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

cd "$work"
npm pack --silent "@msgpack/msgpack@$version" >/dev/null
tar -xzf ./*.tgz
# The last line of the build points at a source map that is not shipped; browsers would ask for it.
sed '/^\/\/# sourceMappingURL=/d' package/dist.umd/msgpack.min.js >msgpack.min.js
cp package/LICENSE LICENSE

if [ "${1:-}" = "--accept" ]; then
    sha256sum msgpack.min.js LICENSE >SHA256SUMS
    cp SHA256SUMS "$here/SHA256SUMS"
else
    cp "$here/SHA256SUMS" SHA256SUMS
    sha256sum --check --quiet SHA256SUMS
fi
cp msgpack.min.js LICENSE "$here/"
echo "vendor: @msgpack/msgpack $version is in place"
