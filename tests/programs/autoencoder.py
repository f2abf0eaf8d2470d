"""A convolutional autoencoder: 784 pixels through 32 numbers and back, by mean squared error."""

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import data, nn, optim


class Autoencoder(nn.Module):
    def __init__(self, code=32):
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(7 * 7 * 16, code),
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, 7 * 7 * 16),
            nn.Unflatten(1, (7, 7, 16)),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(16, 8, 3, padding="same"),
            nn.GELU(),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Conv2d(8, 1, 3, padding="same"),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


def main(steps=150):
    """The share of the variance of unseen images that is lost on the way."""
    mg.manual_seed(0)
    train, test = (mg.tensor(part.images, dtype=mg.float32) / 255 for part in data.load())
    net = Autoencoder()
    optimizer = optim.AdamW(net.parameters(), lr=3e-3)
    for _ in range(steps):
        x = train[mg.randint(len(train), size=(64,))]
        loss = F.mse_loss(net(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    with mg.no_grad():
        x = test[:500]
        lost = F.mse_loss(net(x), x) / ((x - x.mean(0)) ** 2).mean()
    return lost.item()


if __name__ == "__main__":
    print(f"{main():.1%} of the variance is lost")
