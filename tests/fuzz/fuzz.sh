#!/usr/bin/env bash
# Searches for inputs that break a parser: every target of fuzz_targets.cc, or those that are named,
# runs under libFuzzer (preset `fuzz`) for SECONDS, as many at a time as there are cores. Begins with
# the seeds, corpus/<target>/ and what earlier runs found (build/fuzz/corpus). Exit status 1: something
# was found, which is kept in build/fuzz/findings.
#   tests/fuzz/fuzz.sh [SECONDS=60 [TARGET...]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

seconds=${1:-60}
targets=("${@:2}")
packages=(clang-19 libclang-rt-19-dev llvm-19)
build=build/fuzz
export REFLUX_SOURCE=$PWD ASAN_SYMBOLIZER_PATH=/usr/lib/llvm-19/bin/llvm-symbolizer

# As in deploy/setup.sh: without root when all is there.
install_clang() {
  dpkg-query -W -f='${Status}\n' "${packages[@]}" 2>/dev/null | grep -c 'ok installed' |
    grep -qx ${#packages[@]} && return
  echo "fuzz: installing ${packages[*]}"
  local sudo=(); [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 "${packages[@]}" >/dev/null
}

# fuzz TARGET SECONDS: its log goes to build/fuzz/logs. A status that libFuzzer uses for a finding is
# no reason to stop the others.
fuzz() {
  local target=$1 seconds=$2 build=build/fuzz
  local found=$build/corpus/$target kept=tests/fuzz/corpus/$target
  mkdir -p "$found" "$build/findings"
  local folders=("$found" "$build/seeds/$target"); [ -d "$kept" ] && folders+=("$kept")
  REFLUX_FUZZ_TARGET=$target $build/bin/reflux-fuzz "${folders[@]}" \
    -artifact_prefix="$build/findings/$target-" -max_total_time="$seconds" -max_len=8192 \
    -rss_limit_mb=2048 -malloc_limit_mb=512 -timeout=10 -print_final_stats=1 \
    >"$build/logs/$target" 2>&1 || true
}

# stat NAME LOG: one of libFuzzer's final figures.
stat() { sed -n "s/^stat::$1: *//p" "$2" | tail -n 1; }

# The number of findings among the files that this run made.
findings() { find "$build/findings" -name "$1-*" -newer "$build/begun" | wc -l; }

report() {
  local target log covered
  printf '| %-14s | %10s | %5s | %6s | %10s | %8s |\n' target executions cov ft "new inputs" findings
  echo '|---|---|---|---|---|---|'
  for target in "${targets[@]}"; do
    log=$build/logs/$target
    covered=$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -n 1)
    read -r _ cov _ ft <<<"${covered:-cov: - ft: -}"
    printf '| %-14s | %10s | %5s | %6s | %10s | %8s |\n' "$target" \
      "$(stat number_of_executed_units "$log")" "$cov" "$ft" "$(stat new_units_added "$log")" \
      "$(findings "$target")"
  done
}

install_clang
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz -j "$(nproc)"
rm -rf $build/seeds
$build/bin/reflux-fuzz-seeds $build/seeds
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(ls $build/seeds)
mkdir -p $build/logs $build/findings
touch $build/begun
export -f fuzz
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'fuzz "$@"' _ {} "$seconds"
report
[ -z "$(find $build/findings -type f -newer $build/begun)" ]
