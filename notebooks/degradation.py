"""The run of notebook 08, section 6: plain and residual nets of 20 and 56 layers, 500 steps each.

    python notebooks/degradation.py     writes notebooks/data/degradation.csv (seven minutes of one core)

Images of clothes (Fashion-MNIST, the 10,000 that ship with minigrad) at half size, the same batches and initial
weights for both kinds of net; the columns are the training loss of each step, averaged over 10 steps.
"""

from pathlib import Path

import numpy as np

import architectures
import minigrad as mg
from minigrad import data, optim
from minigrad.nn import functional as F

NETS = ("plain20", "resnet20", "plain56", "resnet56")
STEPS, EVERY, BATCH = 500, 10, 32
FILE = Path(__file__).parent / "data" / "degradation.csv"


def images_and_labels():
    train, _ = data.load()
    photos = train.images.reshape(-1, 14, 2, 14, 2, 1).mean((2, 4)) / 255  # at half size
    return ((photos - photos.mean()) / photos.std()).astype(np.float32), train.labels


def losses(name, photos, labels):
    """(STEPS / EVERY,) mean training losses of a net."""
    net, rng, found = architectures.create(name, in_channels=1, image_size=14), np.random.default_rng(1), []
    optimizer = optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    for step in range(STEPS):
        chosen = rng.integers(0, len(photos), BATCH)
        loss = F.cross_entropy(net(mg.tensor(photos[chosen])), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
        if (step + 1) % 100 == 0:
            print(f"{name}: step {step + 1} of {STEPS}, loss {np.mean(found[-50:]):.2f}", flush=True)
    return np.reshape(found, (-1, EVERY)).mean(axis=1)


if __name__ == "__main__":
    photos, labels = images_and_labels()
    columns = [losses(name, photos, labels) for name in NETS]
    steps = np.arange(EVERY, STEPS + 1, EVERY)
    np.savetxt(FILE, np.c_[steps, np.transpose(columns)], "%.4g", ",", header="step," + ",".join(NETS), comments="")
