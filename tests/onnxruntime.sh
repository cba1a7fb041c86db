#!/usr/bin/env bash
# Runs Python with onnxruntime, for the tests of the ONNX export, from a per-user cache folder.
#   tests/onnxruntime.sh --install | FILE.py ARGUMENTS...
set -euo pipefail
folder=${REFLUX_ONNXRUNTIME:-$HOME/.cache/reflux/onnxruntime-1.32.0}
if [ "$1" = --install ]; then
  [ -e "$folder/.complete" ] && exit
  echo "setup: downloading onnxruntime into $folder"
  fresh="$folder.$$"
  trap 'rm -rf "$fresh"' EXIT
  # Its other dependencies are for parts that only running a model does not import.
  /usr/bin/python3 -m pip install -q --no-deps --disable-pip-version-check \
    --root-user-action=ignore --target "$fresh" onnxruntime==1.32.0 numpy==2.2.6
  touch "$fresh/.complete"
  rm -rf "$folder"
  mv "$fresh" "$folder"
  exit
fi
[ -e "$folder/.complete" ] || { echo "onnxruntime is not installed: tests/onnxruntime.sh --install"; exit 77; }
PYTHONPATH=$folder exec /usr/bin/python3 "$@"
