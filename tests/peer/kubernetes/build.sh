#!/bin/sh
# Builds a real kube-apiserver and its etcd from the Go modules pinned in build/go.mod, one compiler at a time.
# A quarter of an hour on two cores the first time; nothing where both are there already. Tests use what they find.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bin="${XDG_CACHE_HOME:-$HOME/.cache}/greenops/peers/bin"
command -v go >/dev/null || { echo "peers-kubernetes: go is not installed; the Kubernetes tests will be skipped" >&2; exit 1; }

cd "$here/build"
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${version#v1.}
minor=${minor%%.*}
# What the server answers at /version, and what it takes to be its own release when it speaks to older clients.
stamp=
for at in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  stamp="$stamp -X $at.gitVersion=$version -X $at.gitMajor=1 -X $at.gitMinor=$minor"
done

mkdir -p "$bin"
build() {
  name=$1 package=$2 stored="$bin/$1.$3"
  test -x "$stored" || {
    GOFLAGS="-p=1 -buildvcs=false" CGO_ENABLED=0 nice -n 15 go build -trimpath -ldflags "-s -w $stamp" -o "$stored.part" "$package"
    mv "$stored.part" "$stored"
  }
  ln -sf "$name.$3" "$bin/$name"
}
build etcd go.etcd.io/etcd/server/v3 "$(go list -m -f '{{.Version}}' go.etcd.io/etcd/server/v3)"
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver "$version"
ls -l "$bin/etcd" "$bin/kube-apiserver"
