#!/usr/bin/env bash
# Installs what Reflux builds with on Debian 12: packages by apt, LibTorch by pip into a per-user
# cache folder that every clone shares. Safe to run again; does nothing when all is there.
#   deploy/setup.sh [--cuda]    --cuda adds the CUDA libraries (3.5 GB) that training on a GPU needs
set -euo pipefail

packages=(g++ cmake pkg-config python3-pip git ca-certificates
  libgrpc++-dev protobuf-compiler-grpc libprotobuf-dev protobuf-compiler librocksdb-dev
  prometheus-cpp-dev libgtest-dev libgmock-dev libbenchmark-dev libcli11-dev libspdlog-dev
  nlohmann-json3-dev libyaml-cpp-dev libopencv-dev libzstd-dev libxxhash-dev liblmdb-dev librados-dev
  libssl-dev zlib1g-dev libgloo-dev ninja-build ccache mold)
torch_version=2.11.0
libtorch=${REFLUX_LIBTORCH:-$HOME/.cache/reflux/libtorch-$torch_version}

# apt only when a package is missing, so that a second run works without root.
install_packages() {
  local missing=() p
  for p in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "setup: installing ${#missing[@]} Debian packages"
  local sudo=(); [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 "${missing[@]}" >/dev/null
}

cpu_wheels=("torch==$torch_version" nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85
  nvidia-nccl-cu13==2.28.9 nvidia-cuda-crt==13.0.88 nvidia-cuda-cccl==13.0.85)
cuda_wheels=(nvidia-cublas==13.1.0.3 nvidia-cudnn-cu13==9.19.0.56 nvidia-cufft nvidia-cufile
  nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13==0.8.0 nvidia-curand
  nvidia-nvshmem-cu13==3.4.5 nvidia-nvjitlink)

# marker NAME WHEEL...: the file that says that these are there. Of the list of wheels, so that a
# longer list is noticed.
marker() {
  local name=$1; shift
  echo ".complete-$name-$(printf '%s ' "$@" | sha256sum | cut -c1-8)"
}

# All wheels in one call (pip replaces the shared nvidia/ folder as a whole), into a folder beside
# the target that is renamed when complete, so that a broken download is never used.
install_libtorch() {
  local name=$1; shift
  [ -e "$libtorch/$(marker "$name" "$@")" ] && return
  echo "setup: downloading LibTorch $torch_version ($name) into $libtorch"
  fresh="$libtorch.$$"
  trap 'rm -rf "$fresh"' EXIT
  python3 -m pip install -q --no-deps --disable-pip-version-check --root-user-action=ignore \
    --target "$fresh" "$@"
  touch "$fresh/$(marker "$name" "$@")"
  touch "$fresh/$(marker cpu "${cpu_wheels[@]}")"  # every set of wheels holds those
  rm -rf "$libtorch"
  mv "$fresh" "$libtorch"
}

install_packages
case "${1:-}" in
  "") install_libtorch cpu "${cpu_wheels[@]}" ;;
  --cuda) install_libtorch cuda "${cpu_wheels[@]}" "${cuda_wheels[@]}" ;;
  *) echo "usage: deploy/setup.sh [--cuda]" >&2; exit 2 ;;
esac
