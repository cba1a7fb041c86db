"""For losses_reference.py: Af-DCD's contrast, and the losses that have parameters or a memory.

Of those `own` has what the loss owns: `maps` of the student by tap, `weights` that learn with it, and `given`,
its buffers and what it draws.
"""
import functools

import torch
import torch.nn.functional as F


def kl(p, q, dim):
    return (p * (p.log() - q.log())).sum(dim)


def contrast(s, t, labels, classes, groups=16, patch=4, other_groups_alone=True):
    def cells(features):
        pooled = F.max_pool2d(features, 4)
        rows, columns = pooled.shape[2] // patch, pooled.shape[3] // patch
        cut = pooled[:, :, :rows * patch, :columns * patch]
        split = cut.reshape(cut.shape[0], groups, -1, rows, patch, columns, patch)
        return split.permute(0, 3, 5, 4, 6, 1, 2).reshape(-1, patch * patch * groups, split.shape[2])
    of_s, of_t = cells(s), cells(t)
    similarity = (of_s[:, :, None] - of_t[:, None]).abs().sum(3) / -0.07
    positive = similarity.diagonal(0, 1, 2)
    if other_groups_alone:
        group = torch.arange(of_s.shape[1]) % groups
        kept = (group[:, None] != group[None]) | torch.eye(of_s.shape[1], dtype=torch.bool)
        similarity = similarity.masked_fill(~kept, -1e30)
    return (similarity.logsumexp(2) - positive).sum() / (of_s.shape[0] * patch * patch)


def convolution(own, name, x):
    weight = own.weights[name + ".weight"]
    return F.conv2d(x, weight, own.weights.get(name + ".bias"), padding=weight.shape[2] // 2,
                    groups=x.shape[1] // weight.shape[1])


def norm(own, name, x, eps=1e-5):
    return F.batch_norm(x, own.given[name + ".running_mean"], own.given[name + ".running_var"],
                        own.weights[name + ".weight"], own.weights[name + ".bias"], training=True, eps=eps)


def block(own, name, x):
    return norm(own, name + ".1", convolution(own, name + ".0", x))


def afdcd(s, t, labels, classes, own, **cells):
    x = convolution(own, "align", s) * own.given["mask"]
    if "projetor.reduce.weight" in own.weights:
        x = F.relu(convolution(own, "projetor.reduce", x))
        x = convolution(own, "projetor.expand", F.relu(convolution(own, "projetor.mix", x)))
    else:
        x = convolution(own, "projetor.2", F.relu(convolution(own, "projetor.0", x)))
    feature = F.mse_loss(x, t, reduction="sum") / s.shape[0]
    return 2e-6 * feature + 0.005 * contrast(x, t, labels, classes, **cells)


def take_in(own, teacher, labels, classes):
    pixels, regions = own.given["pixels.vectors"], own.given["regions.vectors"]
    for c in range(classes):
        pixel = region = 0  # full queues start over
        for image in range(labels.shape[0]):
            mine = teacher[image].flatten(1).T[(labels[image] == c).flatten()]
            if len(mine) == 0:
                continue
            regions[c, region] = F.normalize(mine.mean(0), dim=0)
            pixels[c, pixel:pixel + len(mine[:16])] = mine[:16]
            region, pixel = region + 1, pixel + len(mine[:16])


def cirkd_memory(s, t, labels, classes, own):
    hidden = F.relu(norm(own, "norm", convolution(own, "first", s)))
    unit = F.normalize(t, dim=1)
    of_s, of_t = [x.permute(0, 2, 3, 1).flatten(0, 2)
                  for x in (F.normalize(convolution(own, "second", hidden), dim=1), unit)]

    def divergence(queue):
        memory = own.given[queue + "s.vectors"].flatten(0, 1)[own.given[queue + "_rows"]]
        return kl((of_t @ memory.T / 0.1).softmax(1), (of_s @ memory.T / 0.1).softmax(1), 1).mean()
    total = 0.1 * divergence("pixel") + 0.1 * divergence("region")
    take_in(own, unit, labels, classes)
    return total


def pyramid_layer(own, layer, maps, last):
    name = f"self_teacher.layers.{layer}.conv"
    before, up = [None] * len(maps), [None] * len(maps)
    for i in reversed(range(len(maps))):
        x = maps[i]
        if i + 1 < len(maps):
            x = x + F.interpolate(up[i + 1], x.shape[2:], mode="bilinear", align_corners=False)
        before[i] = block(own, f"{name}{i + 2}up", x)
        up[i] = F.relu(before[i])
    out = list(up)
    if not last:
        for i in range(1, len(maps)):
            x = maps[i] + up[i] + F.interpolate(out[i - 1], maps[i].shape[2:], mode="nearest")
            out[i] = F.relu(block(own, f"{name}{i + 2}dw", x))
    return out, before


def refine(own, maps):
    for i in range(len(maps)):
        lateral = f"self_teacher.lateral.{i}"
        if lateral + ".0.weight" in own.weights:
            maps[i] = F.relu(block(own, lateral, maps[i]))
    for layer in range(2):
        maps, before = pyramid_layer(own, layer, maps, last=layer == 1)
    head = "self_teacher.classifier."
    hidden = F.relu(norm(own, head + "1", convolution(own, head + "0", maps[0]), eps=1e-4))
    return maps, before, convolution(own, head + "3", hidden)


def attention_level(own, i, s, refined, before):
    def attention(x):
        return F.normalize(x.pow(2).mean(1).flatten(1), dim=1)
    return F.mse_loss(attention(s), attention(refined))


def fitnet_level(own, i, s, refined, before):
    return F.mse_loss(F.relu(block(own, f"terms.linear.{i}", s)), refined)


def overhaul_level(own, i, s, refined, before):
    name = f"self_teacher.layers.1.conv{i + 2}up.1"
    deviation, mean = own.weights[name + ".weight"].detach().abs(), own.weights[name + ".bias"].detach()
    normal = torch.distributions.Normal(0.0, 1.0)
    density = normal.log_prob(mean / deviation).exp()
    margin = mean - deviation * density / normal.cdf(-mean / deviation)
    target = torch.maximum(before, margin[:, None, None])
    x = block(own, f"terms.linear.{i}", s)
    return ((x - target) ** 2 * ((x > target) | (target > 0))).sum() / 2 ** (3 - i) / s.shape[0]


def frskd(s, t, labels, classes, own, level, beta):
    maps = [own.maps[f"c{i + 1}"] for i in range(4)]
    refined, before, logits = refine(own, list(maps))

    def at_labels(x):
        return F.interpolate(x, labels.shape[1:], mode="bilinear", align_corners=True)
    logits = at_labels(logits)
    soft = kl(logits.detach().softmax(1), at_labels(s).softmax(1), 1).mean()
    features = sum(level(own, i, maps[i], refined[i].detach(), before[i].detach()) for i in range(4))
    return F.cross_entropy(logits, labels, ignore_index=255) + soft + beta * features


# The weights of FRSKD's maps as in naive_modules.h.
MODULE_LOSSES = {
    "contrast_spatial": functools.partial(contrast, groups=1, other_groups_alone=False),
    "contrast_channel": functools.partial(contrast, patch=1),
    "afdcd_omni": afdcd,
    "afdcd_spatial": functools.partial(afdcd, groups=1, other_groups_alone=False),
    "afdcd_channel": functools.partial(afdcd, patch=1),
    "afdcd_bottleneck": afdcd,
    "cirkd_memory": cirkd_memory,
    "frskd": functools.partial(frskd, level=attention_level, beta=1e4),
    "frskd_fitnet": functools.partial(frskd, level=fitnet_level, beta=1),
    "frskd_overhaul": functools.partial(frskd, level=overhaul_level, beta=4e-6),
}
