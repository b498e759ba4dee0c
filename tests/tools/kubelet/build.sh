#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# kubelet/build.sh DIRECTORY: builds kubelet, as go.mod beside this script pins it, and kubelet-stream, the client of
# its streams, into a directory. Does nothing when they are newer than what they are made of.
set -eu

out=$1
cd "$(dirname "$0")"

newest=$(ls -t go.mod go.sum build.sh kubelet-stream/main.go | head -n 1)
if [ -f "$out/.built-kubelet" ] && [ ! "$newest" -nt "$out/.built-kubelet" ]; then
    exit 0
fi
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
echo "building kubelet $version into $out (a few minutes the first time)"
go build -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" \
    -o "$out/" k8s.io/kubernetes/cmd/kubelet ./kubelet-stream
touch "$out/.built-kubelet"
