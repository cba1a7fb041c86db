"""Writes the files of this folder with PyTorch's own torch.save (made with 2.11.0)."""
import argparse
import collections

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
