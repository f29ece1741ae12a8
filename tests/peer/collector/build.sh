#!/bin/sh
# Builds the Collector of collectors/builder.yaml from its Go modules; and where there is no Prometheus, the server of the
# release that the Collector's receiver is made of. Ten minutes on two cores the first time; nothing as long as the manifest
# is the same. Tests use what they find.
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
manifest="$root/collectors/builder.yaml"
bin="${XDG_CACHE_HOME:-$HOME/.cache}/greenops/peers/bin"
hash=$(sha256sum "$manifest" | cut -c1-12)
version=$(sed -n 's/^  version: //p' "$manifest")
mkdir -p "$bin"

collector="$bin/otelcol-greenops.$hash"
built() { test -x "$collector"; }
# The system's Prometheus does as well.
served() { command -v prometheus >/dev/null || test -x "$bin/promtool.$hash"; }
show() {
  for each in otelcol-greenops prometheus promtool; do
    test ! -x "$bin/$each.$hash" || ln -sf "$each.$hash" "$bin/$each"
  done
}
if built && served; then show; exit 0; fi
command -v go >/dev/null || { echo "peers: go is not installed; tests of a real Collector will be skipped" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CGO_ENABLED=0 GOFLAGS="-mod=mod -buildvcs=false"
last() { tail -n 3 "$work/log" | tr '\n' ' '; }

sed "s|^  output_path:.*|  output_path: $work/collector|" "$manifest" > "$work/builder.yaml"
# Prometheus is built from the modules that the Collector's are chosen with, also where that is there already.
compile=$(built && echo --skip-compilation || true)
nice -n 10 go run "go.opentelemetry.io/collector/cmd/builder@v$version" --config "$work/builder.yaml" $compile >"$work/log" 2>&1 || {
  echo "peers: the Collector cannot be built: $(last)" >&2
  exit 1
}
if ! built; then
  mv "$work/collector/otelcol-greenops" "$collector.part"
  mv "$collector.part" "$collector"
fi

if ! served; then
  cd "$work/collector"
  for each in prometheus promtool; do
    package=github.com/prometheus/prometheus/cmd/$each
    if nice -n 10 go get "$package" >"$work/log" 2>&1 &&
      nice -n 10 go build -trimpath -ldflags "-s -w" -o "$work/$each" "$package" >>"$work/log" 2>&1; then
      mv "$work/$each" "$bin/$each.$hash"
    else
      echo "peers: $each cannot be built: $(last)" >&2
    fi
  done
fi
show
ls -l "$bin/otelcol-greenops"
