#!/bin/bash
# FRSKD's classification on generated textures: baseline, the self-teacher's head alone, soft labels,
# refined maps, both; three seeds, paired, one thread at low priority. Prints a table; a second call
# goes on where the first was stopped.
#
#   bench/frskd_classification.sh build/release/bin DIR [STEPS]
set -euo pipefail
bin=$(realpath "$1") steps=${3:-300}
mkdir -p "$2" && cd "$2"
"$bin/reflux-scenes" --format cifar10 --out textures --train 2000 --val 500 --seed 0

run() {  # NAME SEED LOSSES
  [ ! -e "$1-$2/student.safetensors" ] || return 0
  cat >"$1-$2.yaml" <<YAML
name: textures
data: {format: cifar10, root: textures}
student: {model: wrn16x2}
losses: $3
targets: {views: live}
train: {global_batch: 32, steps: $steps, learning_rate: 0.05, lr_schedule: step, seed: $2,
        threads: 1, loader_threads: 1, device: cpu, log_every: 50}
YAML
  nice -n 19 "$bin/reflux-worker" --standalone --job "$1-$2.yaml" --dir "$1-$2" >"$1-$2.log" 2>&1
}

for seed in 0 1 2; do
  run baseline $seed "{ce: {}}"
  run head $seed "{frskd_classifier: {alpha: 0, beta: 0}}"
  run soft_labels $seed "{frskd_classifier: {beta: 0}}"
  run features $seed "{frskd_classifier: {alpha: 0}}"
  run both $seed "{frskd_classifier: {}}"
done

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
