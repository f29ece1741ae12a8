#!/bin/sh
# Builds the Collector of collectors/builder.yaml from its Go modules, and the Prometheus that its receiver is made of.
# Ten minutes on two cores the first time; nothing as long as the manifest is the same. Tests use what they find.
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
manifest="$root/collectors/builder.yaml"
bin="${XDG_CACHE_HOME:-$HOME/.cache}/greenops/peers/bin"
hash=$(sha256sum "$manifest" | cut -c1-12)
collector="$bin/otelcol-greenops.$hash"
prometheus="$bin/prometheus.$hash"
test -x "$collector" && test -x "$prometheus" && {
  ln -sf "otelcol-greenops.$hash" "$bin/otelcol-greenops"
  ln -sf "prometheus.$hash" "$bin/prometheus"
  exit 0
}
command -v go >/dev/null || { echo "peers: go is not installed; tests of a real Collector will be skipped" >&2; exit 1; }

version=$(sed -n 's/^  version: //p' "$manifest")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$bin"
export CGO_ENABLED=0 GOFLAGS="-mod=mod -buildvcs=false"

sed "s|^  output_path:.*|  output_path: $work/collector|" "$manifest" > "$work/builder.yaml"
nice -n 10 go run "go.opentelemetry.io/collector/cmd/builder@v$version" --config "$work/builder.yaml" >"$work/log" 2>&1 || {
  echo "peers: the Collector cannot be built: $(tail -n 3 "$work/log" | tr '\n' ' ')" >&2
  exit 1
}
mv "$work/collector/otelcol-greenops" "$collector"
ln -sf "otelcol-greenops.$hash" "$bin/otelcol-greenops"

# The receiver names a release of Prometheus; the server of the same one is half compiled by now.
cd "$work/collector"
if nice -n 10 go get github.com/prometheus/prometheus/cmd/prometheus >"$work/log" 2>&1 &&
  nice -n 10 go build -trimpath -ldflags "-s -w" -o "$prometheus" github.com/prometheus/prometheus/cmd/prometheus >>"$work/log" 2>&1; then
  ln -sf "prometheus.$hash" "$bin/prometheus"
else
  echo "peers: Prometheus cannot be built ($(tail -n 1 "$work/log")); its tests take the system's, if there is one" >&2
fi
ls -l "$bin"/otelcol-greenops* "$bin"/prometheus* 2>/dev/null
