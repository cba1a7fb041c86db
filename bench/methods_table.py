#!/usr/bin/env python3
"""Trains one student by each method on the same data, steps and seeds, and prints what each gains.

    bench/methods_table.py --bin build/release/bin --dir DIR --data camvid:ROOT [options]

Trains a teacher (unless DIR/teacher.safetensors is there), chooses the weights that no paper gives
on seed 0, then trains every method on the seeds after it. All jobs go through one orchestrator, one
teacher server and one cache; `--parallel` of them run at a time. A second call goes on where the
first was stopped; `--deadline` stops it from starting more. Tables go to DIR/tables.md.
"""
import argparse
import concurrent.futures
import json
import os
import signal
import statistics
import subprocess
import sys
import time

# Name of a choice -> the losses of its candidates, {} standing for fields, and these fields: first
# those that an earlier sweep has chosen (docs/results/methods.md), which count where none is run.
SWEEPS = {
    "kd": ("{{kd: {{{}}}}}", ["weight: 1", "weight: 3", "weight: 10"]),
    "icsd": ("{{icsd: {{{}}}}}", [f"weight: {w}" for w in (10, 1, 3, 100, 1000)]),
    "i2ckd": ("{{i2ckd: {{tap: aspp, {}}}}}", [f"weight: {w}, margin: {m}" for m in (10, 1) for w in (0.1, 1)]),
    "spatial": ("{{kd: {{}}, afdcd: {{tap: {afdcd_tap}, negatives: spatial_patch, {}}}}}",
                [f"weight: {w}" for w in (0.1, 1, 0.01)]),
    "omni": ("{{kd: {{}}, afdcd: {{tap: {afdcd_tap}, negatives: omni, {}}}}}", [f"weight: {w}" for w in (0.1, 1, 0.01)]),
    "frskd": ("{{frskd: {{{}}}}}", ["warmup: 0.25, beta: 5", "warmup: 0.6667, beta: 50", "warmup: 0.25, beta: 50",
                                    "warmup: 0.25, beta: 0", "warmup: 0.25, alpha: 0, beta: 5"]),
}
WITHOUT_TEACHER = {
    "alone": "{{}}",
    "FRSKD": "{{frskd: {{{frskd}}}}}",
}
# {kd}, {icsd} and so on are replaced by the fields that the sweep chose, {afdcd_tap} by --afdcd-tap.
METHODS = {
    "KD": "{{kd: {{{kd}}}}}",
    "I2CKD": "{{i2ckd: {{tap: aspp, {i2ckd}}}}}",
    "KD + I2CKD": "{{kd: {{{kd}}}, i2ckd: {{tap: aspp, {i2ckd}}}}}",
    "ICSD": "{{icsd: {{{icsd}}}}}",
    "ICSD + ALW": "{{icsd: {{{icsd}, schedule: alw}}}}",
    "KD + ICSD + ALW": "{{kd: {{{kd}, schedule: alw}}, icsd: {{{icsd}, schedule: alw}}}}",
    "KD + Af-DCD spatial": "{{kd: {{}}, afdcd: {{tap: {afdcd_tap}, negatives: spatial_patch, {spatial}}}}}",
    "KD + Af-DCD channel": "{{kd: {{}}, afdcd: {{tap: {afdcd_tap}, negatives: channel}}}}",
    "KD + Af-DCD omni": "{{kd: {{}}, afdcd: {{tap: {afdcd_tap}, negatives: omni, {omni}}}}}",
    "KD + CIRKD memory": "{{kd: {{}}, cirkd_memory: {{}}}}",
    "KD + CIRKD": "{{kd: {{}}, cirkd: {{}}, cirkd_memory: {{}}}}",
    "KD + CIRKD + I2CKD": "{{kd: {{}}, cirkd: {{}}, cirkd_memory: {{}}, i2ckd: {{tap: aspp, {i2ckd}}}}}",
    "SKD": "{{kd: {{}}, skd: {{}}}}",
    "SKD + I2CKD": "{{kd: {{}}, skd: {{}}, i2ckd: {{tap: aspp, {i2ckd}}}}}",
    "CWD": "{{cwd: {{}}}}",
    "CWD + I2CKD": "{{cwd: {{}}, i2ckd: {{tap: aspp, {i2ckd}}}}}",
}
# What the table calls it -> fields of `targets` for a student of KD.
TARGETS = {
    "replay: 1": 'views: "replay: 1"', "replay: 4": 'views: "replay: 4"',
    "replay: 16": 'views: "replay: 16"', "live": "views: live",
    "whole": "views: whole, whole_tolerance: 100",  # whatever the teacher loses: this shows what the student does
    "fp32": "codec: fp32", "bf16": "codec: bf16", "int8": "codec: int8", "topk:3": 'codec: "topk:3"',
}


class Bench:
    def __init__(self, options):
        self.options = options
        self.started = time.monotonic()
        self.state = os.path.join(options.dir, "state")
        self.teacher = os.path.join(options.dir, "teacher.safetensors")
        os.makedirs(os.path.join(options.dir, "jobs"), exist_ok=True)
        self.environment = dict(os.environ, REFLUX_SERVER="@" + os.path.join(self.state, "endpoints", "orchestrator"))
        self.orchestrator = None

    def reflux(self, *arguments, **keywords):
        return subprocess.run([os.path.join(self.options.bin, "reflux"), *arguments], env=self.environment,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **keywords)

    def __enter__(self):
        log = open(os.path.join(self.options.dir, "orchestrator.log"), "a")
        self.orchestrator = subprocess.Popen(
            [os.path.join(self.options.bin, "reflux-orchestrator"), "--state", self.state, "--metrics-listen",
             "127.0.0.1:0"], stdout=log, stderr=log)
        for _ in range(200):
            if self.reflux("ps").returncode == 0:
                return self
            time.sleep(0.1)
        self.orchestrator.kill()
        sys.exit("the orchestrator does not answer: see orchestrator.log")

    def __exit__(self, *_):
        self.orchestrator.send_signal(signal.SIGTERM)
        self.orchestrator.wait()

    def path(self, name, seed, suffix):
        clean = "".join(c if c.isalnum() else "-" for c in name.lower())
        return os.path.join(self.options.dir, "jobs", f"{clean}-s{seed}{suffix}")

    def losses(self, template, *fields, **chosen):
        return template.format(*fields, afdcd_tap=self.options.afdcd_tap, **chosen)

    def late(self):
        return time.monotonic() - self.started > self.options.deadline

    def write_job(self, name, seed, model, steps, losses, targets):
        o = self.options
        size = o.size.replace("x", ", ")
        file = self.path(name, seed, ".yaml")
        job = os.path.splitext(os.path.basename(file))[0]
        lines = [f"name: {job}", f"data: {{format: camvid, root: {o.root}, crop: [{size}], scale: [{o.scale}], "
                 f"eval_size: [{size}], decoded_mib: 512}}",
                 f"student: {{model: {model}}}", f"losses: {losses}",
                 f"train: {{global_batch: {o.batch}, steps: {steps}, precision: {o.precision}, seed: {seed}, threads: {o.threads}, "
                 f"checkpoint_every: 100000, log_every: 100}}", "run: {students: 1}"]
        if targets is not None:
            views = "" if "views" in targets else f', views: "replay: {o.views}"'
            lines += [f"teacher: {{checkpoint: {self.teacher}, compute: {o.precision}, threads: 2, batch: {o.batch}}}",
                      f"targets: {{cache: methods, {targets}{views}}}"]
        with open(file, "w") as out:
            out.write("\n".join(lines) + "\n")
        return file, job

    def run(self, name, seed, model, steps, losses, targets=None):
        """Trains, once over all calls. The job's description, or None when it is too late or failed."""
        result = self.path(name, seed, ".json")
        if not os.path.exists(result):
            if self.late():
                return None
            file, job = self.write_job(name, seed, model, steps, losses, targets)
            begun = time.monotonic()
            watched = self.reflux("submit", file, "--watch")
            jobs = json.loads(self.reflux("ps", "--json").stdout).get("jobs", [])
            mine = [j for j in jobs if j["spec"]["name"] == job]
            if watched.returncode != 0 or not mine:
                print(f"{name}, seed {seed}: FAILED\n{watched.stdout[-2000:]}", flush=True)
                return None
            with open(result + ".part", "w") as out:
                newest = max(mine, key=lambda j: int(j["submitted_unix_ms"]))
                out.write(self.reflux("describe", newest["job_id"], "--json").stdout)
            os.replace(result + ".part", result)
            seconds = time.monotonic() - begun
        else:
            seconds = 0
        with open(result) as file:
            description = json.load(file)
        progress = description["progress"]
        print(f"{time.monotonic() - self.started:6.1f} s  {name}, seed {seed}: mIoU {progress['miou']:.2f} %, "
              f"{1e3 * progress['seconds_per_step']:.1f} ms a step, {seconds:.1f} s", flush=True)
        return description

    def student(self, name, seed, losses, targets=None):
        return self.run(name, seed, "deeplabv3_resnet18", self.options.steps, losses, targets)

    def train_teacher(self):
        if os.path.exists(self.teacher):
            return
        done = self.run("teacher", 0, self.options.teacher_model, self.options.teacher_steps, "{}")
        if done is None:
            sys.exit("the teacher was not trained")
        os.link(os.path.join(done["directory"], "student.safetensors"), self.teacher)


def miou(description):
    return description["progress"]["miou"]


def choose(bench, pool, sweeps):
    """Trains the candidates of `sweeps` on seed 0; the table's rows and the best fields of every choice."""
    futures = {(choice, fields): pool.submit(bench.student, f"{choice} {fields}", 0, bench.losses(SWEEPS[choice][0], fields),
                                             None if choice == "frskd" else "codec: fp16")
               for choice in sweeps for fields in SWEEPS[choice][1]}
    rows, best = [], {choice: candidates[0] for choice, (_, candidates) in SWEEPS.items()}
    for choice in sweeps:
        results = {fields: futures[choice, fields].result() for fields in SWEEPS[choice][1]}
        scores = {fields: miou(result) for fields, result in results.items() if result}
        rows += [(f"{choice}, {fields}", f"{score:.2f}") for fields, score in scores.items()]
        if scores:
            best[choice] = max(scores, key=scores.get)
    return rows, best


def compare(bench, pool, variants, seeds):
    """variants: name -> (losses, targets). Seed by seed, so that a stopped run is still paired."""
    futures = {(name, seed): pool.submit(bench.student, name, seed, *variant)
               for seed in seeds for name, variant in variants.items()}
    return {name: {seed: miou(futures[name, seed].result()) for seed in seeds if futures[name, seed].result()}
            for name in variants}


def table(results, baseline):
    lines = ["| | mIoU % of each seed | mean | deviation | gain, paired | its spread |", "|---|---|---|---|---|---|"]
    for name, scores in results.items():
        if not scores:
            lines.append(f"| {name} | not run | | | | |")
            continue
        values = list(scores.values())
        gains = [score - baseline[seed] for seed, score in scores.items() if seed in baseline]
        spread = [f"{statistics.stdev(v):.2f}" if len(v) > 1 else "-" for v in (values, gains)]
        gain = f"{statistics.mean(gains):+.2f}" if gains else "-"
        lines.append(f"| {name} | {', '.join(f'{v:.2f}' for v in values)} | {statistics.mean(values):.2f} | {spread[0]} "
                     f"| {gain} | {spread[1]} |")
    return "\n".join(lines)


def listed(text):
    return [] if text == "-" else [name.strip() for name in text.split(",")]


def only(table, names):
    """The rows of `table` that are named."""
    unknown = [name for name in names if name not in table]
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; there are: {', '.join(table)}")
    return {name: table[name] for name in names}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--data", required=True, help="camvid:ROOT")
    parser.add_argument("--size", default="120x160")
    parser.add_argument("--scale", default="0.33, 0.80", help="of the images' 360x480")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--teacher-model", default="deeplabv3_resnet101")
    parser.add_argument("--teacher-steps", type=int, default=500)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--afdcd-tap", default="c4", help="what Af-DCD reads; on a CPU c4's projector takes most of a step")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16",
                        help="of students and teacher; bf16 is slow on a processor without AVX-512")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of each job")
    parser.add_argument("--sweeps", type=listed, default=list(SWEEPS), metavar="NAME,...", help=f"of {', '.join(SWEEPS)}; none: -")
    parser.add_argument("--methods", type=listed, default=list(METHODS), metavar="NAME,...", help="rows of the first table")
    parser.add_argument("--targets", type=listed, default=list(TARGETS), metavar="NAME,...", help="rows of the second")
    parser.add_argument("--deadline", type=float, default=1e9, help="seconds after which no job is started")
    options = parser.parse_args()
    if not options.data.startswith("camvid:"):
        parser.error("--data takes camvid:ROOT")
    options.root = os.path.abspath(options.data[len("camvid:"):])
    options.dir = os.path.abspath(options.dir)
    os.makedirs(options.dir, exist_ok=True)
    seeds = range(1, options.seeds + 1)
    sweeps = list(only(SWEEPS, options.sweeps))
    methods, kinds = only(METHODS, options.methods), only(TARGETS, options.targets)
    if kinds and "KD" not in methods:
        parser.error("--targets compares with the method KD")
    with Bench(options) as bench, concurrent.futures.ThreadPoolExecutor(options.parallel) as pool:
        # Beside the teacher's training run those that need none.
        with concurrent.futures.ThreadPoolExecutor(max(1, options.parallel // 3)) as beside:
            teacher = pool.submit(bench.train_teacher)
            own, best = choose(bench, beside, [name for name in sweeps if name == "frskd"])
            without = compare(bench, beside, {n: (bench.losses(l, **best), None) for n, l in WITHOUT_TEACHER.items()}, seeds)
            teacher.result()
        swept, chosen = choose(bench, pool, [name for name in sweeps if name != "frskd"])
        best = dict(chosen, frskd=best["frskd"])
        with_teacher = compare(bench, pool, {n: (bench.losses(l, **best), "codec: fp16") for n, l in methods.items()}, seeds)
        kd = f"{{kd: {{{best['kd']}}}}}"
        targets = compare(bench, pool, {"KD, " + n: (kd, t) for n, t in kinds.items()}, seeds)
        baseline = without["alone"]
        text = "\n\n".join([
            "Sweep (seed 0):\n\n| | mIoU % |\n|---|---|\n" + "\n".join(f"| {n} | {m} |" for n, m in own + swept),
            "Methods, gain over the student alone:\n\n" + table({**without, **with_teacher}, baseline),
            f"Targets, gain over KD with replay: {options.views} in fp16:\n\n" + table(targets, with_teacher.get("KD", {}))])
        with open(os.path.join(options.dir, "tables.md"), "w") as file:
            file.write(text + "\n")
        print("\n" + text)


if __name__ == "__main__":
    main()
