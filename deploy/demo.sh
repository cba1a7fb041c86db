#!/usr/bin/env bash
# Sets up a Debian 12 machine, builds Reflux, and runs the main job on it: a ResNet-101 teacher fills a
# cache while two students learn from it (KD and I2CKD); then a second job (ICSD with ALW, another seed)
# learns from the cache while the teacher stays idle. Ends with a table and a picture of masks.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: deploy/demo.sh [--quick|--full] [--data camvid:DIR] [--teacher CHECKPOINT] [--keep] [--dir DIR]

  --quick               minutes: shows the machinery
  (default)             about a quarter of an hour on 2 cores
  --full                as long as an accuracy that counts takes: an hour or two on 2 cores;
                        with a GPU larger crops and more steps
  --data camvid:DIR     CamVid in the SegNet layout (train/ trainannot/ val/ valannot/); without it
                        street-like scenes are generated
  --teacher CHECKPOINT  use this teacher instead of training one
  --keep                leave the servers running, print their addresses and how to stop them
  --dir DIR             where everything is kept (default: $HOME/.cache/reflux/demo)
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
size=default data="" teacher="" keep=0 base=$HOME/.cache/reflux/demo
while [ $# -gt 0 ]; do
  case $1 in
    --quick) size=quick ;;
    --full) size=full ;;
    --data|--teacher|--dir)
      [ $# -ge 2 ] || { echo "demo: $1 needs a value" >&2; exit 2; }
      case $1 in --data) data=$2 ;; --teacher) teacher=$(realpath "$2") ;; --dir) base=$(realpath -m "$2") ;; esac
      shift ;;
    --keep) keep=1 ;;
    -h|--help) usage; exit 0 ;;
    *) echo "demo: unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

# size: training images, validation images, side lengths, batch, teacher steps, student steps, views,
# range of scales (images are 360x480)
case $size in
  quick)   train=24  val=8   crop="96, 128"  batch=4 teacher_steps=48   student_steps=36   views=2 scale="0.26, 0.42" ;;
  default) train=96  val=24  crop="120, 160" batch=8 teacher_steps=140  student_steps=90   views=2 scale="0.33, 0.60" ;;
  full)    train=367 val=101 crop="120, 160" batch=8 teacher_steps=500  student_steps=600  views=4 scale="0.33, 0.80" ;;
esac
# LibTorch computes bf16 fast on a GPU, or with AVX-512; otherwise many times slower than fp32.
precision=bf16
# With GPUs `--full` takes whole images and the schedule's length; NCCL wants a GPU for each student.
gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU' || true)
students=2 setup_options=()
if [ "$gpus" -eq 0 ] && [ "$(uname -m)" = x86_64 ] && ! grep -qw avx512bw /proc/cpuinfo; then
  precision=fp32
  echo "demo: this processor has no AVX-512: networks compute in fp32 instead of bf16"
fi
if [ "$gpus" -gt 0 ]; then
  setup_options=(--cuda)
  [ "$gpus" -ge 2 ] || students=1
  if [ $size = full ]; then
    crop="360, 480" batch=16 teacher_steps=8000 student_steps=4000 views=8 scale="0.5, 2.0"
  fi
fi

if [ -n "$data" ]; then
  case $data in camvid:*) ;; *) echo "demo: --data takes camvid:DIR" >&2; exit 2 ;; esac
  root=$(realpath "${data#camvid:}")
  [ -d "$root/train" ] || { echo "demo: $root/train does not exist: expected CamVid in the SegNet layout" >&2; exit 2; }
  work=$base/camvid-$size
else
  work=$base/scenes-$size root=$base/scenes-$size/images
fi
state=$work/state bin=$here/build/release/bin orchestrator=""

say() { printf '\n== %s\n' "$*"; }

set_up_and_build() {
  say "set-up and build (the first time: a download of 800 MB and some ten minutes of compiling)"
  "$here/deploy/setup.sh" "${setup_options[@]}"
  cmake -S "$here" --preset release >/dev/null
  cmake --build "$here/build/release" --target reflux reflux-model reflux-scenes reflux-orchestrator \
    reflux-supervise reflux-teacher reflux-cache reflux-worker reflux-planner
}

reflux() { "$bin/reflux" "$@"; }
export REFLUX_SERVER="@$state/endpoints/orchestrator"

start_orchestrator() {
  if reflux ps >/dev/null 2>&1; then
    say "the orchestrator of an earlier run is still there, and stays"
    keep=1
    return
  fi
  say "starting the orchestrator"
  "$bin/reflux-orchestrator" --state "$state" --metrics-listen 127.0.0.1:0 >>"$work/orchestrator.log" 2>&1 &
  orchestrator=$!
  echo $orchestrator >"$work/orchestrator.pid"
  for _ in $(seq 100); do reflux ps >/dev/null 2>&1 && break; sleep 0.1; done
  reflux ps >/dev/null || { tail -n 5 "$work/orchestrator.log" >&2; exit 1; }
}

# Stops the orchestrator, and with it every process that it started.
stop_all() {
  [ -n "$orchestrator" ] || return 0
  kill "$orchestrator" 2>/dev/null || true
  wait "$orchestrator" 2>/dev/null || true
  orchestrator=""
}

# job NAME YAML...: writes the job file, submits and watches it; its description lands in NAME.json.
# The servers stop when a job fails: what it logged stays.
job() {
  local name=$1 file=$work/$1.yaml; shift
  cat >"$file" <<YAML
name: $name
data: {format: camvid, root: $root, crop: [$crop], scale: [$scale], eval_size: [$crop], max_train_images: $train, max_val_images: $val}
$(printf '%s\n' "$@")
YAML
  local ended=0 id
  id=$(reflux ps --json | python3 "$here/deploy/demo_report.py" unfinished "$name")
  if [ -n "$id" ]; then
    echo "(goes on where an earlier run of the demo was stopped)"
    reflux watch "$id" || ended=$?
  else
    reflux submit "$file" --watch || ended=$?
  fi
  id=$(reflux ps --json | python3 "$here/deploy/demo_report.py" newest "$name")
  [ $ended -eq 0 ] || { echo "demo: job $name has not succeeded; its logs: $state/jobs/$id/logs" >&2; exit 1; }
  reflux describe "$id" --json >"$work/$name.json"
}

train_alone() {  # NAME MODEL STUDENTS STEPS
  job "$1" "student: {model: $2}" "losses: {}" \
    "train: {global_batch: $batch, steps: $4, precision: $precision, checkpoint_every: 100, log_every: 20}" \
    "run: {students: $3}"
}

distil() {  # NAME SEED LOSSES
  job "$1" "teacher: {checkpoint: $teacher_file, compute: $precision, threads: 2, batch: 4}" \
    "student: {model: deeplabv3_resnet18}" "losses: $3" \
    "targets: {cache: demo, views: \"replay: $views\", codec: fp16}" \
    "train: {global_batch: $batch, steps: $student_steps, precision: $precision, seed: $2, checkpoint_every: 100, log_every: 20}" \
    "run: {students: $students}"
}

# Where the server of a role ("cache", "teacher") listens: the endpoint file written last.
endpoint() { echo "@$(find "$state/endpoints/$1" -type f -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)"; }

# counters WHEN: what cache and teacher have counted so far.
counters() {
  reflux cache stats --cache "$(endpoint cache)" --json >"$work/cache-$1.json"
  reflux teachers info --teacher "$(endpoint teacher)" --json >"$work/teacher-$1.json"
}

# Servers of an earlier run may serve job 1 too, and have counted already.
counters_before() {
  if [ -n "$orchestrator" ] || [ ! -e "$work/kd-i2ckd.json" ] || ! counters before 2>/dev/null; then
    for server in cache teacher; do echo '{}' >"$work/$server-before.json"; done
  fi
}

set_up_and_build
mkdir -p "$work"
[ -n "$data" ] || "$bin/reflux-scenes" --out "$root" --train "$train" --val "$val" --height 360 --width 480 --seed 0
trap stop_all EXIT
start_orchestrator

teacher_file=$work/teacher.safetensors
if [ -n "$teacher" ]; then
  teacher_file=$work/given-teacher.safetensors  # beside the trained one, which later runs use
  cp "$teacher" "$teacher_file"
elif [ ! -e "$work/teacher.safetensors" ]; then
  say "training the teacher first, by the same worker program ($teacher_steps steps); kept for the next run"
  train_alone teacher deeplabv3_resnet101 1 "$teacher_steps"
  cp "$(python3 "$here/deploy/demo_report.py" checkpoint "$work/teacher.json")" "$work/teacher.safetensors"
fi
if [ ! -e "$work/alone.json" ]; then
  say "the student alone, for comparison ($student_steps steps, students: $students); kept for the next run"
  train_alone alone deeplabv3_resnet18 "$students" "$student_steps"
fi
say "job 1: the students learn with KD and I2CKD; the teacher fills the cache"
[ ! -e "$work/kd-i2ckd.json" ] || echo "(the cache of an earlier run is warm)"
counters_before
distil kd-i2ckd 0 "{kd: {}, i2ckd: {tap: aspp, weight: 0.1, margin: 10}}"
counters between
say "job 2: ICSD with ALW and another seed; the teacher should stay idle"
distil icsd-alw 1 "{icsd: {weight: 10, schedule: alw}}"
counters after

say "results (every checkpoint evaluated once more, in fp32)"
checkpoints=("$teacher_file")
for name in alone kd-i2ckd icsd-alw; do
  checkpoints+=("$(python3 "$here/deploy/demo_report.py" checkpoint "$work/$name.json")")
done
reflux eval "${checkpoints[@]}" --titles "teacher,alone,KD + I2CKD,ICSD + ALW" --data "camvid:$root" --size "${crop/, /x}" \
  --max-images "$val" --masks "$work/masks.png" --json >"$work/eval.json"
python3 "$here/deploy/demo_report.py" table "$work"
echo "masks: $work/masks.png"
if [ $keep -eq 1 ]; then
  trap - EXIT
  cache=$(endpoint cache) teacher=$(endpoint teacher)
  echo "still running: orchestrator $(cat "$state/endpoints/orchestrator"), cache $(cat "${cache#@}"), teacher $(cat "${teacher#@}")"
  echo "metrics: $(grep -o 'http://[^ ]*/metrics' "$work/orchestrator.log" | tail -n 1)"
  echo "ask it:  REFLUX_SERVER=$REFLUX_SERVER $bin/reflux ps"
  echo "stop it: kill $(cat "$work/orchestrator.pid")"
fi
