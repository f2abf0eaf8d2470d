"""MyGrad: NumPy, on one processor but for BLAS. Its batch norm knows no running statistics, so it only trains."""

import mygrad
import numpy as np
from mygrad.nnet import batchnorm, conv_nd, max_pool, relu, softmax_crossentropy


def weights(rng, channels, classes):
    """VGG at a quarter of the widths: (w, b, gamma, beta) of each convolution with batch norm, and the classifier's."""
    layers, c = [], channels
    for k in (16, 16, 32, 32, 64, 64, 128, 128):
        w = rng.standard_normal((k, c, 3, 3), dtype=np.float32) * np.float32((2 / (9 * c)) ** 0.5)
        layers.append([mygrad.tensor(a) for a in (w, *(np.full((1, k, 1, 1), v, np.float32) for v in (0, 1, 0)))])
        c = k
    last = rng.standard_normal((c, classes), dtype=np.float32) * np.float32(0.01)
    return layers, [mygrad.tensor(last), mygrad.tensor(np.zeros(classes, np.float32))]


def logits(x, layers, last):
    for i, (w, b, gamma, beta) in enumerate(layers):
        y = conv_nd(x, w, stride=1, padding=1) + b
        x = relu(batchnorm(y, gamma=gamma.reshape(-1), beta=beta.reshape(-1), eps=1e-5))
        x = max_pool(x, pool=(2, 2), stride=2) if i % 2 else x
    return mygrad.mean(x, axis=(2, 3)) @ last[0] + last[1]


def build(net, image, channels, classes, batch, mode, threads):
    if mode != "train" or image % 16:
        raise ValueError(f"only training, of images whose size 16 divides; got {mode}, {image}")
    rng = np.random.default_rng(0)
    layers, last = weights(rng, channels, classes)
    parameters = [t for layer in layers for t in layer] + last
    velocities = [np.zeros_like(t.data) for t in parameters]
    x = mygrad.tensor(rng.standard_normal((batch, channels, image, image), dtype=np.float32), constant=True)
    y = rng.integers(0, classes, batch)

    def train():
        softmax_crossentropy(logits(x, layers, last), y).backward()
        for t, v in zip(parameters, velocities):
            v *= 0.9
            v += t.grad + 1e-4 * t.data
            t.data -= 1e-3 * v
            t.null_grad()

    return train
