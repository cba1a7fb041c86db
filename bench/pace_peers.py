"""Loads the values of reflux-bench-pace the ways Python programs do, in a thread pool.

Started by reflux-bench-pace --python on the folder that holds npy/*.npy and lmdb/. It answers lines:
"names" with the loaders there are, "stall NAME MILLISECONDS SEED" with how much longer than its
steps a student took that takes its batch, lets go of it and waits until so long has passed, as a
part of them. Batches have the pages that NUMPY_MADVISE_HUGEPAGE says.
"""
import argparse
import collections
import concurrent.futures
import os
import random
import sys
import time

import numpy as np

from targets_peers import forms

NAMES = ("py_npy", "py_lmdb", "py_torch_save")


def open_loaders(arguments):
    """The read function of every loader; what is not stored yet is written, and checked."""
    load = lambda i: np.load(f"{arguments.folder}/npy/{i}.npy")
    read_of = {}
    for name, write, read in forms(arguments.folder, arguments.values):
        if name not in NAMES:
            continue
        if write is not None:
            os.makedirs(f"{arguments.folder}/{name}", exist_ok=True)
            for i in range(arguments.values):
                write(i, load(i))
        row = np.zeros_like(load(0))
        for i in range(arguments.values):
            read(i, row)
        assert np.array_equal(row.view("u2"), load(arguments.values - 1).view("u2")), name
        read_of[name] = read
    return read_of


def stall(read, shape, pace, seed, arguments):
    """As MeasureStall (pace_student.cc): batches in memory of their own, no head start."""
    order = list(range(arguments.values))
    random.Random(seed).shuffle(order)

    def make(number):
        batch = np.empty((arguments.batch,) + shape, "<f2")
        for i, row in enumerate(batch):
            read(order[(number * arguments.batch + i) % len(order)], row)
        return batch

    numbers = iter(range(sys.maxsize))
    with concurrent.futures.ThreadPoolExecutor(arguments.threads) as pool:
        ahead = collections.deque(pool.submit(make, next(numbers)) for _ in range(arguments.depth))

        def take():
            batch = ahead.popleft().result()
            ahead.append(pool.submit(make, next(numbers)))
            return batch

        batch = take()
        waiting, wall, start = arguments.steps * pace, 0, time.perf_counter()
        for _ in range(arguments.steps):
            if wall > (1 + arguments.max_stall) * waiting:
                break
            end = time.perf_counter() + pace
            batch = None
            time.sleep(max(0, end - time.perf_counter()))
            batch = take()
            wall = time.perf_counter() - start
        pool.shutdown(cancel_futures=True)
    del batch
    return (wall - waiting) / waiting


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    for name in ("--values", "--batch", "--threads", "--depth", "--steps"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--max-stall", type=float, required=True)
    arguments = parser.parse_args()
    read_of = open_loaders(arguments)
    if "torch" in sys.modules:  # as in training, loader threads are the only ones
        sys.modules["torch"].set_num_threads(1)
    shape = np.load(f"{arguments.folder}/npy/0.npy").shape
    for line in sys.stdin:
        words = line.split()
        if words[0] == "names":
            print(" ".join(read_of), flush=True)
        else:
            print(stall(read_of[words[1]], shape, float(words[2]) / 1000, int(words[3]), arguments),
                  flush=True)


if __name__ == "__main__":
    main()
