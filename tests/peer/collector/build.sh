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
served() { command -v prometheus >/dev/null || test -x "$bin/prometheus.$hash"; }
show() {
  ln -sf "otelcol-greenops.$hash" "$bin/otelcol-greenops"
  test ! -x "$bin/prometheus.$hash" || ln -sf "prometheus.$hash" "$bin/prometheus"
}
if built && served; then show; exit 0; fi
command -v go >/dev/null || { echo "peers: go is not installed; tests of a real Collector will be skipped" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CGO_ENABLED=0 GOFLAGS="-mod=mod -buildvcs=false"
last() { tail -n 3 "$work/log" | tr '\n' ' '; }

sed "s|^  output_path:.*|  output_path: $work/collector|" "$manifest" > "$work/builder.yaml"
nice -n 10 go run "go.opentelemetry.io/collector/cmd/builder@v$version" --config "$work/builder.yaml" >"$work/log" 2>&1 || {
  echo "peers: the Collector cannot be built: $(last)" >&2
  exit 1
}
mv "$work/collector/otelcol-greenops" "$collector.part"
mv "$collector.part" "$collector"

if ! served; then
  cd "$work/collector"
  server=github.com/prometheus/prometheus/cmd/prometheus
  if nice -n 10 go get "$server" >"$work/log" 2>&1 &&
    nice -n 10 go build -trimpath -ldflags "-s -w" -o "$work/prometheus" "$server" >>"$work/log" 2>&1; then
    mv "$work/prometheus" "$bin/prometheus.$hash"
  else
    echo "peers: Prometheus cannot be built: $(last)" >&2
  fi
fi
show
ls -l "$bin/otelcol-greenops"
