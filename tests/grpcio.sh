#!/usr/bin/env bash
# Runs Python with grpcio, grpcio-tools and numpy, for the test of docs/python.md, from a per-user cache
# folder.
#   tests/grpcio.sh --install | ARGUMENTS of python3...
set -euo pipefail
folder=${REFLUX_GRPCIO:-$HOME/.cache/reflux/grpcio-1.76.0}
if [ "$1" = --install ]; then
  [ -e "$folder/.complete" ] && exit
  echo "setup: downloading grpcio into $folder"
  fresh="$folder.$$"
  trap 'rm -rf "$fresh"' EXIT
  /usr/bin/python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore \
    --target "$fresh" grpcio==1.76.0 grpcio-tools==1.76.0 numpy==2.2.6
  touch "$fresh/.complete"
  rm -rf "$folder"
  mv "$fresh" "$folder"
  exit
fi
[ -e "$folder/.complete" ] || { echo "grpcio is not installed: tests/grpcio.sh --install"; exit 77; }
PYTHONPATH=$folder${PYTHONPATH:+:$PYTHONPATH} exec /usr/bin/python3 "$@"
