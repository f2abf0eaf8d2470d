"""An MLP that learns a function of two variables from noisy values."""

import math

import minigrad as mg
from minigrad import nn, optim


def function(x):
    return (math.pi * x[:, :1]).sin() * x[:, 1:].exp() + (x[:, :1] - x[:, 1:]).abs()


def main(steps=300):
    """The share of the variance that is explained (R^2) on new points."""
    mg.manual_seed(0)
    x = 2 * mg.rand(2000, 2) - 1
    y = function(x) + 0.05 * mg.randn(2000, 1)
    net = nn.Sequential(nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 32), nn.LayerNorm(32), nn.Tanh(), nn.Linear(32, 1))
    loss_fn, optimizer = nn.SmoothL1Loss(beta=0.2), optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(steps):
        batch = mg.randint(len(x), size=(128,))
        loss = loss_fn(net(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = 2 * mg.rand(1000, 2) - 1
    with mg.no_grad():
        y = function(x)
        return 1 - (nn.MSELoss()(net(x), y) / y.var(correction=0)).item()


if __name__ == "__main__":
    print(f"R^2 = {main():.3f}")
