"""What the demo reads out of the client's JSON: the newest job, checkpoints, the table at the end.

    demo_report.py newest NAME < ps.json      id of the newest job of that name
    demo_report.py unfinished NAME < ps.json  id of one that has not ended, if there is one
    demo_report.py checkpoint JOB.json        the student that the job wrote
    demo_report.py table FOLDER               the table, from the files that demo.sh left there
"""
import json
import os
import statistics
import sys


def load(*path):
    with open(os.path.join(*path)) as file:
        return json.load(file)


def jobs_of(name):
    return [j for j in json.load(sys.stdin).get("jobs", []) if j["spec"]["name"] == name]


def newest(name):
    return max(jobs_of(name), key=lambda j: int(j["submitted_unix_ms"]))["job_id"]


def unfinished(name):
    ended = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")
    return next((j["job_id"] for j in jobs_of(name) if j["state"] not in ended), None)


def steps(folder, name):
    """Step records of a job by step; the last generation's win."""
    records = {}
    with open(os.path.join(load(folder, name + ".json")["directory"], "metrics.jsonl")) as file:
        for line in file:
            record = json.loads(line)
            if record["kind"] == "step":
                records[record["step"]] = record
    return list(records.values())


def count(document, field):
    """0 only where there was no server yet to ask: then the whole document is empty."""
    return int(document[field]) if document else 0


def table(folder):
    evaluated = {c["title"]: c for c in load(folder, "eval.json")["checkpoints"]}
    cache = {when: load(folder, f"cache-{when}.json") for when in ("before", "between", "after")}
    teacher = {when: count(load(folder, f"teacher-{when}.json"), "images_inferred") for when in ("before", "between", "after")}
    rows = [("", "mIoU %", "pixel acc. %", "s a step", "waiting", "cache hits", "inferences", "MB to rank 0")]

    def row(title, name, hits="-", inferences="-"):
        result = evaluated[title]
        seconds = waiting = megabytes = "-"
        if os.path.exists(os.path.join(folder, name + ".json")):
            done = steps(folder, name)
            seconds = f"{statistics.median(s['seconds'] for s in done):.2f}"
            waiting = f"{100 * sum(s['wait_seconds'] for s in done) / sum(s['seconds'] for s in done):.0f} %"
            fetched = sum(s["target_bytes"] for s in done) / 1e6
            megabytes = f"{fetched:.1f}" if fetched else "-"
        rows.append((title, f"{result['miou']:.2f}", f"{result['pixel_accuracy']:.2f}", seconds, waiting, hits,
                     inferences, megabytes))

    def hits(after, before):
        hit, miss = (count(after, f) - count(before, f) for f in ("hits", "misses"))
        return f"{hit} of {hit + miss} ({100 * hit / max(1, hit + miss):.0f} %)"

    row("alone", "alone")
    row("KD + I2CKD", "kd-i2ckd", hits(cache["between"], cache["before"]), str(teacher["between"] - teacher["before"]))
    row("ICSD + ALW", "icsd-alw", hits(cache["after"], cache["between"]), str(teacher["after"] - teacher["between"]))
    trained_here = os.path.basename(evaluated["teacher"]["path"]) == "teacher.safetensors"
    row("teacher", "teacher" if trained_here else "")
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        print("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(r, widths))))
    print(f"\nthe teacher's inference counter: {teacher['between']} before job 2, {teacher['after']} after it")
    print(f"the cache holds {count(cache['after'], 'entries')} targets, {count(cache['after'], 'live_bytes') / 1e6:.1f} MB")
    if evaluated["teacher"]["miou"] <= evaluated["alone"]["miou"]:
        print("The teacher is NOT ahead of the student alone at this size: this shows the machinery, not a gain. "
              "--full trains a teacher long enough.")
    for title, result in evaluated.items():
        print(f"checkpoint of {title}: {result['path']}")


def main(command, *arguments):
    commands = {
        "newest": newest,
        "unfinished": unfinished,
        "checkpoint": lambda job: os.path.join(load(job)["directory"], "student.safetensors"),
        "table": table,
    }
    result = commands[command](*arguments)
    if result is not None:
        print(result)


if __name__ == "__main__":
    main(*sys.argv[1:])
