"""Writes the files of this folder with PyTorch's own torch.save (made with 2.11.0)."""
import argparse
import collections
import zipfile

import torch


def training_checkpoint():
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    state = collections.OrderedDict()
    state["module.plain"] = base
    state["module.transposed"] = base.t()  # shares the storage, not contiguous
    state["module.part"] = base[1:, 1:3]  # starts within the storage
    state["module.parameter"] = torch.nn.Parameter(torch.tensor([1.5, -2.0]))
    state["module.half"] = torch.tensor([0.5, 65504.0], dtype=torch.float16)
    state["module.bfloat16"] = torch.tensor([1.0, -3.0], dtype=torch.bfloat16)
    state["module.double"] = torch.tensor([1e-300], dtype=torch.float64)
    state["module.count"] = torch.tensor(7)
    state["module.empty"] = torch.empty(0, 3)
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    return {"epoch": 3, "state_dict": state, "args": argparse.Namespace(lr=0.1, crop=(512, 1024)),
            "best": 71.25, "large": 1 << 80, "name": "größer"}


torch.save(training_checkpoint(), "zip.pth")
torch.save(training_checkpoint(), "legacy.pth", _use_new_zipfile_serialization=False)
torch.save(training_checkpoint(), "protocol4.pth", pickle_protocol=4)
torch.save(torch.nn.Linear(1, 1), "whole_module.pth")


class Network(torch.nn.Module):
    """Of 3 classes at stride 2, with what a listing must tell apart."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 4, 1, stride=2, bias=False)
        self.norm = torch.nn.BatchNorm2d(4)
        self.drop = torch.nn.Dropout(0.5)
        self.last = torch.nn.Conv2d(4, 3, 1)
        self.offset = torch.zeros(1)  # neither parameter nor buffer

    def forward(self, x):
        c1 = torch.relu(self.norm(self.first(x)))
        return {"logits": self.last(self.drop(c1)) + self.offset, "c1": c1}


def save_scripted(path):
    torch.jit.save(torch.jit.script(Network()), path, _extra_files={
        "preprocessing": '{"order": "BGR", "divisor": 1, "mean": [104, 117, 123], "deviation": [1, 1, 1]}'})
    with zipfile.ZipFile(path) as whole:
        entries = [(entry, whole.read(entry)) for entry in whole.infolist()]
    with zipfile.ZipFile(path, "w") as small:  # without the places of the source code
        for entry, content in entries:
            if not entry.filename.endswith(".debug_pkl"):
                small.writestr(entry, content, entry.compress_type)


torch.manual_seed(0)
save_scripted("scripted.pt")
