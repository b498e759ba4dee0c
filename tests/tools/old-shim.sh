#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds the shim of an earlier Gorae into build/old-shim, for the test that a new daemon serves it: containers outlive an
# upgrade with the shims that started them. Which one is in old-shim-revision beside this script: the tag of the last
# release, once there is one. Does nothing when that is built already.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
out=$top/build/old-shim
revision=$(cat "$here/old-shim-revision")
[ "$(cat "$out/.built" 2>/dev/null)" != "$revision" ] || exit 0

echo "building the shim of $revision into $out (a minute)"
rm -rf "$out/source"
mkdir -p "$out/source"
if ! git -C "$top" archive "$revision" >"$out/source.tar"; then
    echo "old-shim.sh: this checkout has no revision $revision: fetch the whole history (git fetch --unshallow)" >&2
    exit 1
fi
tar -x -f "$out/source.tar" -C "$out/source"
rm "$out/source.tar"
# Without its flags: what this build sets for its own programs is not what that one was built with.
(cd "$out/source" && env -u RUSTFLAGS CARGO_TARGET_DIR="$out/target" cargo build --locked -p gorae-shim)
install "$out/target/debug/gorae-shim" "$out/gorae-shim"
rm -rf "$out/source" "$out/target"
echo "$revision" >"$out/.built"
