"""OpenVINO on the CPU, in float32, with our net's ONNX file."""

import numpy as np
import openvino

from .exported import exported


def build(net, image, channels, classes, batch, mode, threads):
    core, shape = openvino.Core(), (batch, channels, image, image)
    settings = {
        "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY",
    }  # fmt: skip
    with exported(net, image, channels, classes, mode) as path:
        model = core.read_model(path)
        model.reshape(shape)
        request = core.compile_model(model, "CPU", settings).create_infer_request()
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    return lambda: request.infer([x], share_inputs=True, share_outputs=True) and None
