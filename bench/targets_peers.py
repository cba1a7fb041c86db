"""Reads the values of reflux-bench-targets the ways Python programs do, into the rows of a batch.

Started by reflux-bench-targets --python, once a round, on the folder that holds npy/*.npy; the other
forms are written beside it at the first start. A form whose package is missing is left out.
"""
import argparse
import json
import os
import random
import time

import numpy as np


def forms(folder, values):
    """(name, write(number, array), read(number, row)) of every form there is."""
    npy = lambda i: f"{folder}/npy/{i}.npy"
    found = [("py_npy", None, lambda i, row: np.copyto(row, np.load(npy(i))))]
    path = lambda kind, i: f"{folder}/py_{kind}/{i}"
    try:
        from safetensors.numpy import load_file, save_file
        found.append(("py_safetensors", lambda i, a: save_file({"t": a}, path("safetensors", i)),
                      lambda i, row: np.copyto(row, load_file(path("safetensors", i))["t"])))
    except ImportError:
        pass
    try:
        import h5py

        def write_h5(i, a):
            with h5py.File(f"{folder}/py_hdf5/all.h5", "a") as file:
                file[str(i)] = a
        opened = []

        def read_h5(i, row):
            if not opened:
                opened.append(h5py.File(f"{folder}/py_hdf5/all.h5", "r"))
            opened[0][str(i)].read_direct(row)
        found.append(("py_hdf5", write_h5, read_h5))
    except ImportError:
        pass
    try:
        import lmdb
        env = lmdb.open(f"{folder}/lmdb", readonly=True, lock=False)

        def read_lmdb(i, row):
            with env.begin(buffers=True) as txn:
                np.copyto(row, np.frombuffer(txn.get(str(i).encode()), "<f2").reshape(row.shape))
        found.append(("py_lmdb", None, read_lmdb))
    except ImportError:
        pass
    try:
        import torch
        found.append(("py_torch_save", lambda i, a: torch.save(torch.from_numpy(a), path("torch_save", i)),
                      lambda i, row: torch.from_numpy(row).copy_(torch.load(path("torch_save", i)))))
    except ImportError:
        pass
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--values", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    order = list(range(arguments.values))
    random.Random(arguments.seed).shuffle(order)
    first = np.load(f"{arguments.folder}/npy/0.npy")
    batch = np.zeros((4,) + first.shape, first.dtype)
    rows = {}
    for name, write, read in forms(arguments.folder, arguments.values):
        folder = f"{arguments.folder}/{name}"
        if write is not None and not os.path.isdir(folder):
            os.mkdir(folder)
            for i in order:
                write(i, np.load(f"{arguments.folder}/npy/{i}.npy"))
        for _ in range(2):  # the first pass warms up
            cpu, start = time.process_time(), time.perf_counter()
            for position, i in enumerate(order):
                read(i, batch[position % 4])
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        assert np.array_equal(batch[(len(order) - 1) % 4].view("u2"),
                              np.load(f"{arguments.folder}/npy/{order[-1]}.npy").view("u2")), name
        rows[name] = {"seconds": seconds, "cpu_seconds": cpu}
    with open(arguments.out, "w") as file:
        json.dump(rows, file)


if __name__ == "__main__":
    main()
