"""A small DCGAN on the embedded images of clothes (Radford et al. 2015)."""

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import data, nn, optim

CODE = 16


def generator():
    return nn.Sequential(
        nn.Linear(CODE, 7 * 7 * 32),
        nn.Unflatten(1, (7, 7, 32)),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),
        nn.Tanh(),
    )


def discriminator():
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 4, stride=2, padding=1),
        nn.BatchNorm2d(32),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(7 * 7 * 32, 1),
    )


def apart(fake, real):
    """How far the mean and the spread of each pixel of two sets of images lie apart."""
    return (F.l1_loss(fake.mean(0), real.mean(0)) + F.l1_loss(fake.std(0), real.std(0))).item()


def main(steps=100):
    """How far made and real images lie apart, before and after training."""
    mg.manual_seed(0)
    real = mg.tensor(data.load()[0].images, dtype=mg.float32) / 127.5 - 1
    make, judge = generator(), discriminator()
    optimizers = [optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999)) for net in (make, judge)]
    before = apart(make(mg.randn(500, CODE)).detach(), real[:500])
    for _ in range(steps):
        x, fake = real[mg.randint(len(real), size=(32,))], make(mg.randn(32, CODE))
        yes, no = mg.ones(32, 1), mg.zeros(32, 1)
        loss = F.binary_cross_entropy_with_logits(judge(x), yes)
        loss = loss + F.binary_cross_entropy_with_logits(judge(fake.detach()), no)
        judge.zero_grad()
        loss.backward()
        optimizers[1].step()
        make.zero_grad()
        F.binary_cross_entropy_with_logits(judge(fake), yes).backward()
        optimizers[0].step()
    return before, apart(make(mg.randn(500, CODE)).detach(), real[:500])


if __name__ == "__main__":
    print("apart before and after: {:.3f} {:.3f}".format(*main()))
