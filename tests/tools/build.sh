#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds kubelet, crictl, critest, ginkgo (which runs several critests at once), the CNI plugins and cnitool, as the
# go.mod files beside and below this script pin them, into build/tools of the checkout. Does nothing when they are
# newer than what they are made of.
#
# critest pulls one image by a digest that is a constant of its source. It is compiled from a copy of the module,
# made for this build and thrown away, in which the constant is the digest of our image.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../../build/tools}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$here"
./kubelet/build.sh "$out"

newest=$(ls -t go.mod go.sum test-image-digest build.sh | head -n 1)
if [ -f "$out/.built" ] && [ ! "$newest" -nt "$out/.built" ]; then
    exit 0
fi
echo "building crictl, critest, ginkgo, the CNI plugins and cnitool into $out (a few minutes the first time)"

cri_tools=sigs.k8s.io/cri-tools
version=$(go list -m -f '{{.Version}}' $cri_tools)
go build -trimpath -ldflags "-X $cri_tools/pkg/version.Version=$version" -o "$out/" tool

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cp -r "$(go list -m -f '{{.Dir}}' $cri_tools)" "$work/cri-tools"
chmod -R u+w "$work/cri-tools"
constants=$work/cri-tools/pkg/validate/consts.go
sed -i "s/\"test-image-digest@sha256:[0-9a-f]*\"/\"test-image-digest@$(cat test-image-digest)\"/" "$constants"
if ! grep -q "\"test-image-digest@$(cat test-image-digest)\"" "$constants"; then
    echo "critest's constant for test-image-digest is not where it was" >&2
    exit 1
fi
cp go.mod go.sum "$work/"
go mod edit -replace "$cri_tools=$work/cri-tools" "$work/go.mod"
go test -c -trimpath -modfile "$work/go.mod" -ldflags "-X $cri_tools/pkg/version.Version=$version" \
    -o "$out/critest" $cri_tools/cmd/critest
touch "$out/.built"
