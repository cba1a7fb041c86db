"""The losses of reflux-bench-losses, each by its formula, in Python with the same torch.

Called by the benchmark: losses_reference.py INPUTS.safetensors --threads N --out FILE.json
"""
import argparse
import json
import struct
import time

import torch
import torch.nn.functional as F

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


def kl(p, q, dim):
    return (p * (p.log() - q.log())).sum(dim)


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


def contrast(s, t, labels, classes, groups=16, patch=4):
    def cells(features):
        pooled = F.max_pool2d(features, 4)
        rows, columns = pooled.shape[2] // patch, pooled.shape[3] // patch
        cut = pooled[:, :, :rows * patch, :columns * patch]
        split = cut.reshape(cut.shape[0], groups, -1, rows, patch, columns, patch)
        return split.permute(0, 3, 5, 4, 6, 1, 2).reshape(-1, patch * patch * groups, split.shape[2])
    of_s, of_t = cells(s), cells(t)
    similarity = (of_s[:, :, None] - of_t[:, None]).abs().sum(3) / -0.07
    group = torch.arange(of_s.shape[1]) % groups
    kept = (group[:, None] != group[None]) | torch.eye(of_s.shape[1], dtype=torch.bool)
    every = similarity.masked_fill(~kept, -1e30).logsumexp(2)
    positive = similarity.diagonal(0, 1, 2)
    return (every - positive).sum() / (of_s.shape[0] * patch * patch)


LOSSES = [kd, icsd, cwd, csd, i2ckd, skd, at, fitnet, ifvd, cirkd, contrast]


def measure(loss, tensors, classes):
    name = loss.__name__
    teacher, labels = tensors[name + ".teacher"], tensors[name + ".labels"]
    for _ in range(2):  # the first run warms up
        student = tensors[name + ".student"].detach().requires_grad_()
        start = time.perf_counter()
        value = loss(student, teacher, labels, classes)
        value.backward()
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "value": value.item()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inputs")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tensors, metadata = read_safetensors(arguments.inputs)
    rows = {loss.__name__: measure(loss, tensors, int(metadata["classes"])) for loss in LOSSES}
    with open(arguments.out, "w") as file:
        json.dump(rows, file)


if __name__ == "__main__":
    main()
