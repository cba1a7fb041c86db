#!/bin/bash
# FRSKD's classification on generated textures: baseline, the self-teacher's head alone, soft labels,
# refined maps, both; three seeds, paired, one thread each at low priority, PARALLEL at a time. Prints
# a table; a second call goes on where the first was stopped.
#
#   [DEVICE=cuda] [PARALLEL=5] bench/frskd_classification.sh build/release/bin DIR [STEPS]
set -euo pipefail
export bin=$(realpath "$1") steps=${3:-300} device=${DEVICE:-cpu}
mkdir -p "$2" && cd "$2"
"$bin/reflux-scenes" --format cifar10 --out textures --train 500 --val 1000 --seed 0

run() {  # NAME SEED LOSSES
  [ ! -e "$1-$2/student.safetensors" ] || return 0
  cat >"$1-$2.yaml" <<YAML
name: textures
data: {format: cifar10, root: textures}
student: {model: wrn16x2}
losses: $3
targets: {views: live}
train: {global_batch: 32, steps: $steps, learning_rate: 0.05, lr_schedule: poly, seed: $2,
        threads: 1, loader_threads: 1, device: $device, log_every: 50}
YAML
  nice -n 19 "$bin/reflux-worker" --standalone --job "$1-$2.yaml" --dir "$1-$2" >"$1-$2.log" 2>&1
}

export -f run
for seed in 0 1 2; do
  printf '%s\0' baseline $seed "{ce: {}}"
  printf '%s\0' head $seed "{frskd_classifier: {alpha: 0, beta: 0}}"
  printf '%s\0' soft_labels $seed "{frskd_classifier: {beta: 0}}"
  printf '%s\0' features $seed "{frskd_classifier: {alpha: 0}}"
  printf '%s\0' both $seed "{frskd_classifier: {}}"
done | xargs -0 -n 3 -P "${PARALLEL:-1}" bash -c 'run "$@"' run

python3 - <<'PYTHON'
import json, statistics

def accuracy(name, seed):
    rows = [json.loads(line) for line in open(f"{name}-{seed}/metrics.jsonl")]
    return [row["top1"] for row in rows if row["kind"] == "evaluation"][-1]

baseline = [accuracy("baseline", seed) for seed in range(3)]
print("| losses | top-1 of each seed, % | mean | deviation | over the baseline, paired |")
print("|---|---|---|---|---|")
for name in ["baseline", "head", "soft_labels", "features", "both"]:
    values = [accuracy(name, seed) for seed in range(3)]
    gain = statistics.mean(v - b for v, b in zip(values, baseline))
    each = ", ".join(f"{value:.1f}" for value in values)
    print(f"| {name} | {each} | {statistics.mean(values):.1f} | {statistics.stdev(values):.1f} | {gain:+.1f} |")
PYTHON
