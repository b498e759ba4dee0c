#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cluster/build.sh [DIRECTORY]: builds a control plane (etcd, kube-apiserver, kube-controller-manager, kube-scheduler) and what
# runs in a cluster's own pods (kube-proxy, CoreDNS) into build/cluster-tools of the checkout. etcd and CoreDNS are those of
# go.mod beside this script, the rest those of kubelet's. Does nothing when they are newer than what they are made of.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../../../build/cluster-tools}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$here"

newest=$(ls -t go.mod go.sum build.sh ../kubelet/go.mod ../kubelet/go.sum | head -n 1)
if [ -f "$out/.built" ] && [ ! "$newest" -nt "$out/.built" ]; then
    exit 0
fi
echo "building a control plane, kube-proxy and CoreDNS into $out (six minutes on two cores the first time)"
# Their images have nothing else in them.
export CGO_ENABLED=0
go build -trimpath -ldflags '-s -w' -o "$out/coredns" github.com/coredns/coredns
go build -trimpath -ldflags '-s -w' -o "$out/etcd" go.etcd.io/etcd/server/v3
cd ../kubelet
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
go build -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" -o "$out/" \
    k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager \
    k8s.io/kubernetes/cmd/kube-scheduler k8s.io/kubernetes/cmd/kube-proxy
touch "$out/.built"
