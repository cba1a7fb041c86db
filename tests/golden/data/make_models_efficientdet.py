"""Writes models_efficientdet.safetensors: the student of FRSKD's segmentation, in double with the
deterministic fill.

The function is that of segmentation/utils/{efficientdet,BiFPN}.py (MingiJi/FRSKD) on
lukemelas/EfficientNet-PyTorch, written anew; two things differ, as docs/models.md says: the stem
ends with its swish, and its names stand under "backbone.". Needs torch and safetensors.
"""
import json

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from make_models_mmseg import fill

CLASSES, WIDTH, SHAPE = 21, 64, [1, 3, 96, 160]
GROUPS = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 3, 6, 80, 2),
          (5, 3, 6, 112, 1), (5, 4, 6, 192, 2), (3, 1, 6, 320, 1))


def same(x, kernel, stride):
    """Static "same" padding for the even sizes of an image of 224."""
    total = kernel - stride
    before, after = total // 2, total - total // 2
    return F.pad(x, (before, after, before, after))


class MbConv(nn.Module):
    def __init__(self, cin, cout, kernel, stride, expansion):
        super().__init__()
        wide, squeezed = cin * expansion, max(1, int(cin * 0.25))
        self.kernel, self.stride, self.skip = kernel, stride, stride == 1 and cin == cout
        norm = dict(eps=1e-3, momentum=0.01)
        if expansion != 1:
            self._expand_conv = nn.Conv2d(cin, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, **norm)
        self._depthwise_conv = nn.Conv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, **norm)
        self._se_reduce, self._se_expand = nn.Conv2d(wide, squeezed, 1), nn.Conv2d(squeezed, wide, 1)
        self._project_conv = nn.Conv2d(wide, cout, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(cout, **norm)

    def forward(self, x):
        y = x
        if hasattr(self, "_expand_conv"):
            y = F.silu(self._bn0(self._expand_conv(y)))
        y = F.silu(self._bn1(self._depthwise_conv(same(y, self.kernel, self.stride))))
        gate = self._se_expand(F.silu(self._se_reduce(F.adaptive_avg_pool2d(y, 1))))
        y = self._bn2(self._project_conv(torch.sigmoid(gate) * y))
        return y + x if self.skip else y


class EfficientNet(nn.Module):
    def __init__(self):
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3, momentum=0.01)
        self._blocks, cin = nn.ModuleList(), 32
        for kernel, count, expansion, cout, stride in GROUPS:
            for i in range(count):
                self._blocks.append(MbConv(cin, cout, kernel, stride if i == 0 else 1, expansion))
                cin = cout

    def forward(self, x):
        x = F.silu(self._bn0(self._conv_stem(same(x, 3, 2))))
        maps = []
        for i, block in enumerate(self._blocks):
            x = block(x)
            if i in (1, 3, 5, 15):
                maps.append(x)
        return maps


def conv(cin, cout, kernel, stride=1):
    return nn.Sequential(nn.Conv2d(cin, cout, kernel, stride, kernel // 2),
                         nn.BatchNorm2d(cout, eps=1e-4), nn.ReLU())


class BiFpn(nn.Module):
    def __init__(self):
        super().__init__()
        for level in range(2, 8):
            for path in ("up", "dw")[:1 if level == 2 else 2]:
                self.add_module(f"conv{level}{path}", nn.Sequential(
                    nn.Conv2d(WIDTH, WIDTH, 1, groups=WIDTH), nn.BatchNorm2d(WIDTH), nn.ReLU()))

    def forward(self, maps):
        up = [None] * 6
        for i in range(5, -1, -1):
            x = maps[i]
            if i < 5:
                x = x + F.interpolate(up[i + 1], x.shape[2:], mode="bilinear", align_corners=False)
            up[i] = getattr(self, f"conv{i + 2}up")(x)
        out = [up[0]]
        for i in range(1, 6):
            x = maps[i] + up[i] + F.interpolate(out[-1], up[i].shape[2:])
            out.append(getattr(self, f"conv{i + 2}dw")(x))
        return out


class EfficientDet(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = EfficientNet()
        self.conv6, self.conv7 = conv(320, WIDTH, 3, 2), conv(WIDTH, WIDTH, 3, 2)
        self.toplayer = conv(320, WIDTH, 1)
        self.latlayer1, self.latlayer2, self.latlayer3 = (conv(c, WIDTH, 1) for c in (80, 40, 24))
        self.BiFPN1 = nn.Sequential(BiFpn(), BiFpn(), BiFpn())
        self.classifier1 = nn.Sequential(
            nn.Conv2d(WIDTH, 256, 3, padding=1), nn.BatchNorm2d(256, eps=1e-4), nn.ReLU(),
            nn.Conv2d(256, CLASSES, 3, padding=1))

    def forward(self, images):
        c = self.backbone(images)
        p6 = self.conv6(c[3])
        levels = [self.toplayer(c[3]), p6, self.conv7(p6)]
        for lateral, fine in ((self.latlayer1, c[2]), (self.latlayer2, c[1]), (self.latlayer3, c[0])):
            fine = lateral(fine)
            levels.insert(0, fine + F.interpolate(levels[0], fine.shape[2:], mode="bilinear",
                                                  align_corners=False))
        levels = self.BiFPN1(levels)
        features = self.classifier1[:3](levels[0])
        outputs = {f"c{i + 1}": m for i, m in enumerate(c)}
        outputs.update({f"p{i + 2}": m for i, m in enumerate(levels)})
        return dict(outputs, feat=features, logits=self.classifier1[3](features))


def main():
    name, tensors = "efficientdet_b0_seg", {}
    model = EfficientDet()
    params = dict(model=name, num_classes=CLASSES, aux=False)
    cases = [dict(name=f"state_dict/{name}", op="state_dict", params=params, inputs={}, weights={},
                  precision="float32",
                  expect=dict(parameters=dict(value=sum(p.numel() for p in model.parameters()),
                                              kind="count"),
                              entries=dict(value=len(model.state_dict()), kind="count")))]
    model.load_state_dict({k: fill(k, list(v.shape)) for k, v in model.state_dict().items()})
    model = model.double().eval()
    with torch.no_grad():
        outputs = model(fill("images", SHAPE, "input").double())
    expect = {}
    for tap, value in outputs.items():
        small = value.numel() < 8192 and tap[0] == "p" or tap == "logits"
        key = tap if small else f"{tap}_mean_hw"
        tensors[f"{name}/{key}"] = (value if small else value.mean((2, 3))).float().contiguous()
        expect[key] = dict(tensor=f"{name}/{key}", kind="map", output=tap)
        if not small:
            expect[key]["reduce"] = "mean_hw"
    cases.append(dict(name=f"model_eval/{name}", op="model_eval", params=dict(params, mode="eval"),
                      inputs=dict(images=dict(fill="images", shape=SHAPE, rule="input")),
                      weights={"*": dict(fill="")}, precision="float64", expect=expect))
    save_file(tensors, "models_efficientdet.safetensors", metadata=dict(
        format="golden-1", salt="", cases=json.dumps(cases),
        tolerance=json.dumps(dict(map=2e-5, count=0, absolute=1e-9, double=dict(map=1e-6)))))


if __name__ == "__main__":
    main()
