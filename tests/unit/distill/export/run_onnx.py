"""Runs MODEL.onnx on raw float32 images: run_onnx.py MODEL.onnx (N,C,H,W IMAGE LOGITS)..."""
import sys

import numpy
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
assert [i.name for i in session.get_inputs()] == ["image"]
for key, value in sorted(session.get_modelmeta().custom_metadata_map.items()):
    print(f"{key}={value}")
for shape, image, logits in zip(sys.argv[2::3], sys.argv[3::3], sys.argv[4::3]):
    values = numpy.fromfile(image, numpy.float32).reshape([int(n) for n in shape.split(",")])
    (result,) = session.run(["logits"], {"image": values})
    result.astype(numpy.float32).tofile(logits)
    print("shape", *result.shape)
