"""Writes models_mmseg.safetensors: networks of mmsegmentation, in double with the deterministic fill.

The functions are those of mmseg/models/backbones/resnet.py (ResNetV1c), utils/res_layer.py and
decode_heads/{aspp_head,psp_head,fcn_head}.py with the settings of configs/_base_/models/
{deeplabv3,pspnet}_r50-d8.py, written anew in PyTorch without mmcv; no weights of mmsegmentation are
involved. Needs torch and safetensors.
"""
import json
import zlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

CLASSES, HEIGHT, WIDTH = 19, 65, 97


def fill(name, shape, rule="name"):
    """distill/tensors/deterministic_fill.h."""
    n = int(np.prod(shape, dtype=np.int64))
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    x = (zlib.crc32(name.encode()) + np.arange(n, dtype=np.uint64) * 0x9E3779B9) & 0xFFFFFFFF
    x ^= x >> 16
    x = (x * 0x7FEB352D) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 0x846CA68B) & 0xFFFFFFFF
    x ^= x >> 16
    v = (x >> 8).astype(np.float64) * 2.0**-23 - 1
    if rule == "input":
        v = 2 * v
    elif name.endswith("running_mean") or name.endswith(".bias"):
        v = 0.1 * v
    elif name.endswith("running_var"):
        v = 1 + 0.25 * v
    elif len(shape) >= 2:
        v = np.sqrt(3.0 / (n / shape[0])) * v
    else:
        v = 1 + 0.25 * v
    return torch.from_numpy(v.astype(np.float32)).reshape(shape)


class ConvModule(nn.Module):
    def __init__(self, cin, cout, k, **more):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, k, bias=False, **more)
        self.bn = nn.BatchNorm2d(cout)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class Block(nn.Module):
    def __init__(self, cin, planes, stride, dilation, bottleneck):
        super().__init__()
        cout = planes * (4 if bottleneck else 1)
        self.bottleneck = bottleneck
        strided = dict(stride=stride, padding=dilation, dilation=dilation, bias=False)
        if bottleneck:
            self.conv1 = nn.Conv2d(cin, planes, 1, bias=False)
            self.conv2 = nn.Conv2d(planes, planes, 3, **strided)
            self.conv3 = nn.Conv2d(planes, cout, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(cout)
        else:
            self.conv1 = nn.Conv2d(cin, planes, 3, **strided)
            self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)  # never dilated
        self.bn1, self.bn2 = nn.BatchNorm2d(planes), nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or cin != cout:
            self.downsample = nn.Sequential(
                nn.Conv2d(cin, cout, 1, stride=stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.bottleneck:
            out = self.bn3(self.conv3(F.relu(out)))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNetV1c(nn.Module):
    def __init__(self, depth):
        super().__init__()
        bottleneck, blocks = {18: (False, (2, 2, 2, 2)), 101: (True, (3, 4, 23, 3))}[depth]
        layers, cin = [], 3
        for cout, stride in ((32, 2), (32, 1), (64, 1)):
            layers += [nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False),
                       nn.BatchNorm2d(cout), nn.ReLU()]
            cin = cout
        self.stem = nn.Sequential(*layers)
        for i, (stride, dilation) in enumerate(zip((1, 2, 1, 1), (1, 1, 2, 4))):
            stage = []
            for b in range(blocks[i]):
                contracted = dilation // 2 if b == 0 and dilation > 1 else dilation
                stage.append(Block(cin, 64 << i, stride if b == 0 else 1, contracted, bottleneck))
                cin = (64 << i) * (4 if bottleneck else 1)
            self.add_module(f"layer{i + 1}", nn.Sequential(*stage))

    def forward(self, x):
        x = F.max_pool2d(self.stem(x), 3, 2, 1)
        maps = []
        for i in range(4):
            x = getattr(self, f"layer{i + 1}")(x)
            maps.append(x)
        return maps


class AsppHead(nn.Module):
    def __init__(self, cin, channels):
        super().__init__()
        self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(cin, channels, 1))
        self.aspp_modules = nn.ModuleList(
            ConvModule(cin, channels, 1 if d == 1 else 3, dilation=d, padding=0 if d == 1 else d)
            for d in (1, 12, 24, 36))
        self.bottleneck = ConvModule(5 * channels, channels, 3, padding=1)
        self.conv_seg = nn.Conv2d(channels, CLASSES, 1)

    def forward(self, x):
        maps = [F.interpolate(self.image_pool(x), x.shape[2:], mode="bilinear", align_corners=False)]
        features = self.bottleneck(torch.cat(maps + [m(x) for m in self.aspp_modules], 1))
        return features, self.conv_seg(features)


class PspHead(nn.Module):
    def __init__(self, cin, channels):
        super().__init__()
        self.psp_modules = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(s), ConvModule(cin, channels, 1)) for s in (1, 2, 3, 6))
        self.bottleneck = ConvModule(cin + 4 * channels, channels, 3, padding=1)
        self.conv_seg = nn.Conv2d(channels, CLASSES, 1)

    def forward(self, x):
        maps = [x] + [F.interpolate(m(x), x.shape[2:], mode="bilinear", align_corners=False)
                      for m in self.psp_modules]
        features = self.bottleneck(torch.cat(maps, 1))
        return features, self.conv_seg(features)


class FcnHead(nn.Module):
    def __init__(self, cin, channels):
        super().__init__()
        self.convs = nn.Sequential(ConvModule(cin, channels, 3, padding=1))
        self.conv_seg = nn.Conv2d(channels, CLASSES, 1)

    def forward(self, x):
        return self.conv_seg(self.convs(x))


class Network(nn.Module):
    def __init__(self, head, depth):
        super().__init__()
        width = 2048 if depth == 101 else 512
        self.backbone = ResNetV1c(depth)
        self.decode_head = {"deeplabv3": AsppHead, "psp": PspHead}[head](width, width // 4)
        self.auxiliary_head = FcnHead(width // 2, width // 8)

    def forward(self, images):
        maps = self.backbone(images)
        features, logits = self.decode_head(maps[3])
        return dict(c1=maps[0], c2=maps[1], c3=maps[2], c4=maps[3], feat=features, logits=logits,
                    aux=self.auxiliary_head(maps[2]))


def main():
    tensors, cases = {}, []
    for head in ("deeplabv3", "psp"):
        for depth in (18, 101):
            name = f"mmseg_{head}_resnet{depth}"
            model = Network(head, depth)
            params = dict(model=name, num_classes=CLASSES, aux=True)
            count = sum(p.numel() for p in model.parameters())
            cases.append(dict(
                name=f"state_dict/{name}", op="state_dict", params=params, inputs={}, weights={},
                precision="float32",
                expect=dict(parameters=dict(value=count, kind="count"),
                            entries=dict(value=len(model.state_dict()), kind="count"))))
            model.load_state_dict({k: fill(k, list(v.shape)) for k, v in model.state_dict().items()})
            model = model.double().eval()
            shape = [1, 3, HEIGHT, WIDTH]
            with torch.no_grad():
                outputs = model(fill("images", shape, "input").double())
            tensors[f"{name}/logits"] = outputs["logits"].float()
            tensors[f"{name}/aux"] = outputs["aux"].float()
            expect = {k: dict(tensor=f"{name}/{k}", kind="map") for k in ("logits", "aux")}
            for tap in ("c1", "c2", "c3", "c4", "feat"):
                tensors[f"{name}/{tap}_mean_hw"] = outputs[tap].mean((2, 3)).float()
                expect[f"{tap}_mean_hw"] = dict(tensor=f"{name}/{tap}_mean_hw", kind="map", output=tap,
                                                reduce="mean_hw")
            cases.append(dict(
                name=f"model_eval/{name}", op="model_eval",
                params=dict(params, mode="eval"),
                inputs=dict(images=dict(fill="images", shape=shape, rule="input")),
                weights={"*": dict(fill="")}, precision="float64", expect=expect))
    save_file(tensors, "models_mmseg.safetensors", metadata=dict(
        format="golden-1", salt="", cases=json.dumps(cases),
        tolerance=json.dumps(dict(map=2e-5, count=0, absolute=1e-9, double=dict(map=1e-6)))))


if __name__ == "__main__":
    main()
