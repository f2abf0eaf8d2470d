"""ONNX Runtime on the CPU, with our net's ONNX file."""

import numpy as np
import onnxruntime

from .exported import exported


def build(net, image, channels, classes, batch, mode, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    with exported(net, image, channels, classes, mode) as path:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).standard_normal((batch, channels, image, image), dtype=np.float32)
    feed = {session.get_inputs()[0].name: x}
    return lambda: session.run(None, feed) and None
