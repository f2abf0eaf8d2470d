"""Transfer learning: a trunk learnt on five kinds of clothes stays frozen; a new head learns the five others."""

import numpy as np

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import data, nn, optim


class Net(nn.Module):
    def __init__(self):
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.head = nn.Linear(3 * 3 * 32, 5)

    def forward(self, x):
        return self.head(self.trunk(x))


def fit(net, x, labels, steps):
    optimizer = optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.05, momentum=0.9)
    for _ in range(steps):
        batch = mg.randint(len(x), size=(64,)).numpy()
        loss = F.cross_entropy(net(x[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main(steps=60):
    """(the share of unseen images of new kinds that are named right, is the trunk unchanged?)"""
    mg.manual_seed(0)
    parts = [(mg.tensor(p.images, dtype=mg.float32) / 255, np.asarray(p.labels)) for p in data.load()]
    (old, old_labels), (new, new_labels), (unseen, right) = [
        (x[np.flatnonzero((labels < 5) == first)], labels[(labels < 5) == first] % 5)
        for first, (x, labels) in [(True, parts[0]), (False, parts[0]), (False, parts[1])]
    ]
    net = Net()
    fit(net, old, old_labels, steps)
    for p in net.trunk.parameters():
        p.requires_grad = False
    net.trunk.eval()
    net.head = nn.Linear(3 * 3 * 32, 5)
    before = {name: value.copy() for name, value in net.trunk.state_dict().items()}
    fit(net, new[:500], new_labels[:500], steps)
    same = all((before[name] == value).all() for name, value in net.trunk.state_dict().items())
    with mg.no_grad():
        return float((net(unseen[:1000]).argmax(1).numpy() == right[:1000]).mean()), same


if __name__ == "__main__":
    print("{:.1%} of new kinds are named right; trunk unchanged: {}".format(*main()))
