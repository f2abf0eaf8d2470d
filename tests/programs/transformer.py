"""A small vision transformer written by hand (Dosovitskiy et al. 2021): patches, attention, a class token."""

import numpy as np

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import data, nn, optim

PATCH, WIDTH, HEADS = 7, 32, 4


class Block(nn.Module):
    def __init__(self):
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def attention(self, x):
        n, t, _ = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (mg.einsum("nhid,nhjd->nhij", q, k) * (WIDTH // HEADS) ** -0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(n, t, WIDTH))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self):
        self.patches = nn.Conv2d(1, WIDTH, PATCH, stride=PATCH)
        self.token = nn.Parameter(np.zeros((1, 1, WIDTH), np.float32))
        self.places = nn.Parameter(0.02 * mg.randn(1, (28 // PATCH) ** 2 + 1, WIDTH).numpy())
        self.blocks = nn.Sequential(Block(), Block())
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10))

    def forward(self, x):
        x = self.patches(x).flatten(1, 2)
        x = mg.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.places
        return self.head(self.blocks(x)[:, 0])


def main(steps=150):
    """The share of unseen images that are named right."""
    mg.manual_seed(0)
    (x, labels), (unseen, right) = [(mg.tensor(p.images, dtype=mg.float32) / 255, p.labels) for p in data.load()]
    net = ViT()
    optimizer = optim.AdamW(net.parameters(), lr=3e-3)
    for _ in range(steps):
        batch = mg.randint(len(x), size=(64,)).numpy()
        loss = F.cross_entropy(net(x[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with mg.no_grad():
        return float((net(unseen[:1000]).argmax(1).numpy() == right[:1000]).mean())


if __name__ == "__main__":
    print(f"{main():.1%} of unseen images are named right")
