"""Trainer: any net, any data, any loss from Python, with the command's loop, files and exact resume."""

import signal

import numpy as np
import pytest
from train_runs import arrays, records, same

from minigrad import nn, optim
from minigrad.data import ArrayDataset, DataLoader, TensorDataset
from minigrad.nn import functional as F
from minigrad.train import Trainer, loop

RNG = np.random.default_rng(0)
LINES = dict(epochs=4, lr=0.05, batch_size=16, lr_scheduler="constant", lr_warmup_epochs=0.0, workers=0)


def images(n=64):
    """Pictures of three classes that a line tells apart."""
    labels = np.arange(n) % 3
    noise = np.random.default_rng(1).normal(0, 0.1, (n, 6, 6, 1))
    return ArrayDataset(np.clip(labels[:, None, None, None] / 3 + noise, 0, 1).astype(np.float32), labels, "abc")


def net(seed=0):
    rng = np.random.default_rng(seed)
    layers = nn.Linear(36, 16, rng=rng), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3, rng=rng)
    return nn.Sequential(nn.Flatten(), *layers)


def test_five_lines_train_a_net_of_ones_own(tmp_path, capsys):
    trainer = Trainer(net(), images(), images(), output_dir=tmp_path / "run", **{**LINES, "epochs": 15})
    history = trainer.fit()
    assert len(history) == 15 and history[-1]["test_accuracy"] > 0.9 > history[0]["test_accuracy"]
    assert records(tmp_path / "run") == history == trainer.history
    assert trainer.test()["accuracy"] == history[-1]["test_accuracy"]
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"curves.png", "confusion.png", "classes.csv", "best.safetensors", "config.toml"} <= names
    assert "epoch 15/15" in capsys.readouterr().out


def test_own_loss_own_metrics_own_optimizer_own_callbacks(tmp_path):
    x = RNG.normal(0, 1, (128, 2)).astype(np.float32)
    points = TensorDataset(x, (x[:, :1] * x[:, 1:]).astype(np.float32))
    model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1))
    seen = []

    def after(trainer, record):
        seen.append((trainer.model is model, record["epoch"]))
        if record["epoch"] == 30:
            trainer.stop()

    own = dict(loss=F.mse_loss, metrics={"mae": lambda y, t: (y - t).abs().mean()}, callbacks=[after])
    own["optimizer"] = optim.Adam(model.parameters(), 0.02)
    trainer = Trainer(model, points, points, output_dir=tmp_path / "run", epochs=50, batch_size=32, workers=0, **own)
    history = trainer.fit()
    assert seen == [(True, epoch) for epoch in range(1, 31)]
    assert history[-1]["test_loss"] < 0.3 * history[0]["test_loss"] and history[-1]["test_mae"] < history[0]["test_mae"]
    assert "test_accuracy" not in history[-1] and (tmp_path / "run" / "curves.png").exists()
    assert trainer.test().keys() == {"loss", "mae"}
    assert len(trainer.fit()) == 50  # once more, it goes on


def test_it_resumes_bit_for_bit(tmp_path, monkeypatch):
    whole = Trainer(net(), images(), images(), output_dir=tmp_path / "whole", **LINES)
    whole.fit()
    real, done = loop.train_step, [0]

    def step(*inputs, **settings):
        done[0] += 1
        if done[0] == 6:
            signal.raise_signal(signal.SIGINT)
        return real(*inputs, **settings)

    monkeypatch.setattr(loop, "train_step", step)
    part = Trainer(net(), images(), images(), output_dir=tmp_path / "part", **LINES)
    assert len(part.fit()) == 1  # Ctrl-C returns
    other = Trainer(net(seed=1), images(), images(), resume=tmp_path / "part", **LINES)
    assert other.fit() == whole.history
    same(arrays(tmp_path / "whole"), arrays(tmp_path / "part"))
    assert part.fit()[-1] == whole.history[-1]  # the one that was stopped goes on, too


def test_loaders_are_taken_as_they_are(tmp_path):
    loader = DataLoader(images(), 8, shuffle=True)
    trainer = Trainer(net(), loader, DataLoader(images(), 8), output_dir=tmp_path / "run", epochs=1, lr=0.1)
    assert trainer.session.steps == 8
    trainer.fit()
    assert (tmp_path / "run" / "classes.csv").read_text().splitlines()[1].startswith("a,")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (dict(batch_size=0), "Trainer: batch_size must be at least 1; got 0"),
        (dict(batchsize=3), "Trainer: unknown setting 'batchsize'; did you mean batch_size"),
        (dict(lr_warmup_epochs=9.0, epochs=3), "Trainer: lr_warmup_epochs 9 must be below epochs 3"),
        (dict(data="mnist"), "Trainer: data has no effect in a Trainer: train and test says it"),
        (dict(resume="no/such"), "no/such: no such checkpoint"),
        (dict(device="x"), "Trainer: device: 'x' is not one of"),
    ],
)
def test_what_is_wrong_is_said_in_keywords(settings, said):
    with pytest.raises(ValueError) as error:
        Trainer(net(), images(), images(), **settings)
    assert said in str(error.value)


def test_a_net_that_is_none_and_an_optimizer_beside_its_settings():
    with pytest.raises(TypeError, match=r"net must be a minigrad.nn.Module; got int"):
        Trainer(3, images(), images())
    model = net()
    with pytest.raises(ValueError, match="lr has no effect beside an optimizer of your own"):
        Trainer(model, images(), images(), optimizer=optim.SGD(model.parameters(), 0.1), lr=0.1)


def test_numbers_that_are_not_finite_are_raised(tmp_path):
    with pytest.raises(FloatingPointError, match="the loss is"):
        Trainer(net(), images(), images(), output_dir=tmp_path / "run", **{**LINES, "lr": 1e30}).fit()
