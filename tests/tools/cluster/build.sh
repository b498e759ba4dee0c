#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cluster/build.sh [DIRECTORY]: builds a control plane (etcd, kube-apiserver, kube-controller-manager, kube-scheduler) and what
# runs in a cluster's own pods (kube-proxy, CoreDNS) into build/cluster-tools of the checkout, and flannel with its CNI plugin.
# etcd, CoreDNS and flannel are those of the go.mod files beside and below this script, the rest those of kubelet's. Does
# nothing when they are newer than what they are made of.
#
# flannel is compiled from a copy of its module without the backend for one provider's cloud, whose library has no version that
# Go's module proxy serves. The plugin is that of the last release of the reference plugins that had it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../../../build/cluster-tools}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$here"

newest=$(ls -t build.sh go.mod go.sum flannel*/go.mod flannel*/go.sum ../kubelet/go.mod ../kubelet/go.sum | head -n 1)
if [ -f "$out/.built" ] && [ ! "$newest" -nt "$out/.built" ]; then
    exit 0
fi
echo "building a control plane, kube-proxy, CoreDNS and flannel into $out (eight minutes on two cores the first time)"
# Their images have nothing else in them.
export CGO_ENABLED=0
go build -trimpath -ldflags '-s -w' -o "$out/coredns" github.com/coredns/coredns
go build -trimpath -ldflags '-s -w' -o "$out/etcd" go.etcd.io/etcd/server/v3
cd "$here/flannel-plugin"
go build -trimpath -ldflags '-s -w' -o "$out/flannel" github.com/containernetworking/plugins/plugins/meta/flannel

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$here/flannel"
cp -r "$(go list -m -f '{{.Dir}}' github.com/flannel-io/flannel)" "$work/flannel"
chmod -R u+w "$work/flannel"
rm -r "$work/flannel/pkg/backend/tencentvpc"
sed -i '/pkg\/backend\/tencentvpc/d' "$work/flannel/main.go"
cp go.mod go.sum "$work/"
go mod edit -replace "github.com/flannel-io/flannel=$work/flannel" "$work/go.mod"
# One of its backends is written in C.
CGO_ENABLED=1 go build -trimpath -modfile "$work/go.mod" -ldflags '-s -w' -o "$out/flanneld" github.com/flannel-io/flannel

cd "$here/../kubelet"
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
go build -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" -o "$out/" \
    k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager \
    k8s.io/kubernetes/cmd/kube-scheduler k8s.io/kubernetes/cmd/kube-proxy
touch "$out/.built"
