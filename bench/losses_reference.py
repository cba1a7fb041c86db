"""The losses of reflux-bench-losses, each by its formula, in Python with the same torch.

Called by the benchmark: losses_reference.py INPUTS.safetensors --threads N --out FILE.json
"""
import argparse
import json
import struct
import time
import types

import torch
import torch.nn.functional as F

from losses_reference_modules import MODULE_LOSSES, contrast, kl

DTYPES = {"F32": torch.float32, "I64": torch.int64}


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        body = bytearray(file.read())
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(body, dtype=torch.uint8)[begin:end].clone()
        tensors[name] = flat.view(DTYPES[entry["dtype"]]).view(entry["shape"])
    return tensors, metadata


def kd(s, t, labels, classes):
    return kl(t.softmax(1), s.softmax(1), 1).mean()


def icsd(s, t, labels, classes):
    def matrix(logits):
        p = logits.flatten(2).softmax(2)
        pairs = kl(p[:, :, None], p[:, None, :], 3)
        return F.normalize(pairs.mean(0), dim=1)
    return (matrix(s) - matrix(t)).square().mean() / s.shape[0]


def cwd(s, t, labels, classes):
    return 16 * kl((t.flatten(2) / 4).softmax(2), (s.flatten(2) / 4).softmax(2), 2).mean()


def csd(s, t, labels, classes):
    def similarity(logits):
        p = (F.avg_pool2d(logits, 2, ceil_mode=True).flatten(2) / 4).softmax(2)
        return p @ p.transpose(1, 2)
    return (similarity(s) - similarity(t)).square().mean()


def i2ckd(s, t, labels, classes):
    present = [c for c in range(classes) if (labels == c).any()]

    def prototypes(features):
        masks = [(labels == c)[:, None].float() for c in present]
        return [(features * mask).sum((0, 2, 3)) / mask.sum() for mask in masks]
    of_s, of_t = prototypes(s), prototypes(t)
    total = 0
    for c in range(len(present)):
        for d in range(len(present)):
            if c != d:
                total = total + F.relu((of_s[c] - of_t[c]).norm() - (of_s[c] - of_t[d]).norm() + 1)
    return total / (len(present) * (len(present) - 1))


def skd(s, t, labels, classes):
    def similarity(features):
        unit = F.normalize(F.max_pool2d(features, 2, ceil_mode=True).flatten(2), dim=1)
        return unit.transpose(1, 2) @ unit
    return (similarity(s) - similarity(t)).square().mean()


def at(s, t, labels, classes):
    def attention(features):
        return F.normalize(features.pow(2).mean(1).flatten(1), dim=1)
    return (attention(s) - attention(t)).square().mean()


def fitnet(s, t, labels, classes):
    return F.mse_loss(s, t)


def ifvd(s, t, labels, classes):
    def variation(features):
        centre = torch.zeros_like(features)
        for c in range(classes):
            mask = (labels == c)[:, None].float()
            mean = (features * mask).sum((2, 3), keepdim=True) / (mask.sum((2, 3), keepdim=True) + 1e-6)
            centre = centre + mask * mean
        return F.cosine_similarity(features, centre, dim=1)
    return (variation(s) - variation(t)).square().mean()


def cirkd(s, t, labels, classes):
    def pooled(features):
        return F.normalize(F.avg_pool2d(features, 2, ceil_mode=True).flatten(2), dim=1)
    of_s, of_t = pooled(s), pooled(t)
    total = 0
    for i in range(s.shape[0]):
        for j in range(s.shape[0]):
            p = (of_t[i].T @ of_t[j] / 0.1).softmax(1)
            q = (of_s[i].T @ of_s[j] / 0.1).softmax(1)
            total = total + kl(p, q, 1).mean()
    return total / s.shape[0] ** 2


LOSSES = {loss.__name__: loss for loss in [kd, icsd, cwd, csd, i2ckd, skd, at, fitnet, ifvd, cirkd, contrast]}
LOSSES |= MODULE_LOSSES


def own_tensors(tensors, name):
    """Fresh copies of what the loss owns, by kind; what learns asks for a gradient."""
    own = types.SimpleNamespace(maps={}, weights={}, given={})
    for kind, table in vars(own).items():
        prefix = f"{name}.{kind}."
        for key in tensors:
            if key.startswith(prefix):
                table[key[len(prefix):]] = tensors[key].clone().requires_grad_(kind != "given")
    return own


def step(loss, arguments):
    start = time.perf_counter()
    value = loss(*arguments)
    value.backward()
    return time.perf_counter() - start, value.item()


def arguments_of(name, tensors, classes):
    """What the loss is called with, and the maps of the student among it."""
    own = own_tensors(tensors, name)
    student = tensors[name + ".student"].clone().requires_grad_()
    arguments = [student, tensors.get(name + ".teacher"), tensors[name + ".labels"], classes]
    return arguments + ([own] if own.weights else []), [student, *own.maps.values()]


def measure(name, loss, tensors, classes):
    for _ in range(2):  # the first run warms up
        arguments, maps = arguments_of(name, tensors, classes)
        seconds, value = step(loss, arguments)
    # norm() in single precision is off by 1e-4 for maps of this size
    gradient = sum(map.grad.double().square().sum().item() for map in maps) ** 0.5
    return {"seconds": seconds, "value": value, "gradient": gradient}


def peak_bytes(name, loss, tensors, classes):
    arguments, _ = arguments_of(name, tensors, classes)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True,
                                acc_events=True) as profile:
        step(loss, arguments)
    standing = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            standing += event.nbytes()
            peak = max(peak, standing)
    return peak


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inputs")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tensors, metadata = read_safetensors(arguments.inputs)
    classes = int(metadata["classes"])
    losses = {name: loss for name, loss in LOSSES.items() if name + ".student" in tensors}
    rows = {name: measure(name, loss, tensors, classes) for name, loss in losses.items()}
    for name, loss in losses.items():  # after all times: the profiler slows what follows it
        rows[name]["bytes"] = peak_bytes(name, loss, tensors, classes)
    with open(arguments.out, "w") as file:
        json.dump(rows, file)


if __name__ == "__main__":
    main()
