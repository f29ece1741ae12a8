#!/bin/sh
# Installs rotel, a Collector that pip has, into an environment of its own. Its binary is linked with CPython 3.11's library.
set -eu
version=0.0.1a15 sdk=0.0.1a9
peers="${XDG_CACHE_HOME:-$HOME/.cache}/greenops/peers"
home="$peers/rotel-$version"
mkdir -p "$peers/bin"
test -x "$home/bin/python" || {
  "${PYTHON:-python3}" -m venv "$home.part"
  "$home.part/bin/python" -m pip install --quiet "rotel==$version" "rotel-sdk==$sdk"
  mv "$home.part" "$home"
}
ldconfig -p | grep -q 'libpython3\.11\.so\.1\.0' || {
  apt-get update -q && apt-get install -yq --no-install-recommends libpython3.11
}
ln -sf "$home"/lib/python3*/site-packages/rotel/rotel-agent "$peers/bin/rotel-agent"
