"""A small U-Net that segments discs and squares in noise: a class for each pixel."""

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, optim

SIZE = 32


def shapes(n):
    """(images (n, 32, 32, 1), classes (n, 32, 32)): 0 background, 1 a disc, 2 a square."""
    rows, columns = mg.arange(SIZE).view(1, SIZE, 1), mg.arange(SIZE).view(1, 1, SIZE)
    at = [mg.randint(6, SIZE - 6, (n, 1, 1)) for _ in range(4)]
    radius = mg.randint(4, 8, (n, 1, 1))
    disc = (rows - at[0]) * (rows - at[0]) + (columns - at[1]) * (columns - at[1]) < radius * radius
    square = (mg.maximum((rows - at[2]).abs(), (columns - at[3]).abs())) < radius - 1
    classes = mg.where(square, 2, mg.where(disc, 1, 0))
    light = mg.where(classes > 0, mg.where(square, 0.8, 1.0), 0.0)
    return (light + 0.4 * mg.randn(n, SIZE, SIZE)).unsqueeze(-1), classes


def block(c, k):
    return nn.Sequential(nn.Conv2d(c, k, 3, padding=1), nn.GroupNorm(2, k), nn.ReLU())


class UNet(nn.Module):
    def __init__(self, width=8):
        self.down1, self.down2, self.middle = block(1, width), block(width, 2 * width), block(2 * width, 4 * width)
        self.up2, self.up1 = block(6 * width, 2 * width), block(3 * width, width)
        self.head = nn.Conv2d(width, 3, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        y = self.middle(F.max_pool2d(b, 2))
        y = self.up2(mg.cat([F.interpolate(y, scale_factor=2), b], dim=-1))
        return self.head(self.up1(mg.cat([F.interpolate(y, scale_factor=2), a], dim=-1)))


def main(steps=120):
    """The mean over classes of intersection / union on new images."""
    mg.manual_seed(0)
    net = UNet()
    optimizer = optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(steps):
        x, classes = shapes(16)
        loss = F.cross_entropy(net(x), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, classes = shapes(100)
    with mg.no_grad():
        found = net(x).argmax(-1)
    both = [((found == k) & (classes == k)).data.sum() / ((found == k) | (classes == k)).data.sum() for k in range(3)]
    return float(sum(both)) / 3


if __name__ == "__main__":
    print(f"intersection over union {main():.2f}")
