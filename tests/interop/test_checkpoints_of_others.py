"""Training checkpoints as other programs write them: the weights in them are found, and what is not clear is said."""

import argparse
import collections
import datetime
import types
import warnings

import numpy as np
import pytest

import architectures
from minigrad.export import export
from minigrad.interop import WeightsError, load_weights, read

torch = pytest.importorskip("torch", reason="the peer whose files are read")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A net, and its state_dict as torch has it."""
    net = architectures.create("resnet8", seed=3, shortcut="B")
    export(net, path := tmp_path_factory.mktemp("base") / "base.pth", "torch")
    return net, torch.load(path, weights_only=True)["state_dict"]


def loads(made, saved, path):
    torch.save(saved, path)
    net = architectures.create("resnet8", weights=path)
    return all(np.array_equal(a, made[0].state_dict()[n]) for n, a in net.state_dict().items())


def under(prefix, state):
    return {f"{prefix}{name}": t for name, t in state.items()}


def optimizer():
    weight = torch.nn.Parameter(torch.ones(3))
    weight.sum().backward()
    made = torch.optim.SGD([weight], 0.1, momentum=0.9)
    made.step()
    return made.state_dict()


WRITTEN = {
    "the best accuracy as a tensor beside the weights": lambda s: {
        "epoch": 3, "arch": "resnet8", "state_dict": under("module.", s), "best_acc1": torch.tensor(91.0),
        "optimizer": optimizer(), "scheduler": {"last_epoch": 3, "base_lrs": [0.1]},
    },
    "the arguments of the command": lambda s: {"model": s, "optimizer": optimizer(), "args": argparse.Namespace(lr=1)},
    "DataParallel within model": lambda s: {"model": under("module.", s)},
    "compiled and distributed": lambda s: {"model": under("module._orig_mod.", s)},
    "torch's AveragedModel": lambda s: {"n_averaged": torch.tensor(5), **under("module.", s)},
    "averages alone": lambda s: {"model_ema": {"n_averaged": torch.tensor(5), **under("module.", s)}},
    "one dict of an unknown name": lambda s: {"student": s, "optimizer": optimizer()},
    "wrapped twice": lambda s: {"checkpoint": {"state_dict": s}, "loss": torch.tensor(1.0)},
    "a configuration called model": lambda s: {"model": {"depth": 8}, **s},
    "Lightning": lambda s: {"state_dict": under("model.", s), "callbacks": {}, "loops": {"epoch": {}}},
    "notes of many types": lambda s: {
        "state_dict": s, "log": collections.defaultdict(list), "seen": frozenset([1]),
        "config": types.SimpleNamespace(lr=0.1), "at": datetime.datetime(2020, 1, 1), "type": torch.bfloat16,
        "best": np.float64(91), "curve": np.arange(3),
    },
}  # fmt: skip


@pytest.mark.parametrize("what", WRITTEN)
def test_the_weights_in_a_checkpoint_are_found(what, made, tmp_path):
    assert loads(made, WRITTEN[what](made[1]), tmp_path / "a.pth")


def test_averages_beside_the_weights_are_told_of(made, tmp_path):
    both = {"state_dict": made[1], "state_dict_ema": under("module.", made[1])}
    with pytest.warns(
        UserWarning, match="'state_dict' and averages of them under 'state_dict_ema'; those under 'state"
    ):
        assert loads(made, both, tmp_path / "a.pth")


def test_which_of_two_nets_is_not_guessed(made, tmp_path):
    torch.save({"generator": made[1], "discriminator": made[1]}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"weights of several nets \('generator', 'discriminator'\)"):
        read(tmp_path / "a.pth")


def test_a_program_is_refused_with_the_reason(tmp_path):
    with warnings.catch_warnings(action="ignore"):
        torch.jit.script(torch.nn.Linear(3, 3)).save(str(tmp_path / "a.pt"))
    with pytest.raises(WeightsError, match="a TorchScript program, which is code"):
        read(tmp_path / "a.pt")


@pytest.mark.parametrize("kind, off", [("float16", 1e-3), ("bfloat16", 1e-2), ("float64", 0)])
def test_other_precisions(kind, off, made, tmp_path):
    state = {n: t.to(getattr(torch, kind)) for n, t in made[1].items()}
    torch.save(state, tmp_path / "a.pth")
    got, own = architectures.create("resnet8", weights=tmp_path / "a.pth").state_dict(), made[0].state_dict()
    assert all(a.dtype == np.float32 and np.abs(a - own[n]).max() <= off * np.abs(own[n]).max() for n, a in got.items())


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<f8"])
def test_arrays_of_other_byte_orders_and_precisions(dtype, made, tmp_path):
    own = made[0].state_dict()
    np.savez(tmp_path / "a.npz", **{n: a.astype(dtype) for n, a in own.items()})
    got = architectures.create("resnet8", weights=tmp_path / "a.npz").state_dict()
    assert all(np.array_equal(a, own[n]) and a.dtype == own[n].dtype for n, a in got.items())


def test_files_that_do_not_say_who_wrote_them(made, tmp_path):
    """The layout that fits decides; projections on shortcuts are seen, another head may be asked for."""
    from safetensors.torch import save_file

    save_file(made[1], tmp_path / "a.safetensors")
    np.savez(tmp_path / "b.npz", **made[0].state_dict())
    for name in ("a.safetensors", "b.npz"):
        net = architectures.create("resnet8", weights=tmp_path / name)
        assert np.array_equal(net.layer2[0].conv1.weight.numpy(), made[0].layer2[0].conv1.weight.numpy())
        assert architectures.create("resnet8", weights=tmp_path / name, num_classes=3).made.num_classes == 3
        load_weights(architectures.create("resnet8", shortcut="B"), tmp_path / name)
        with pytest.raises(WeightsError, match="these weights need shortcut='B', the net has 'A'"):
            load_weights(architectures.create("resnet8"), tmp_path / name)


def test_a_name_of_timm_leads_to_the_net():
    with pytest.raises(ValueError, match=r"unknown architecture 'resnet50.a1_in1k'; did you mean resnet50"):
        architectures.create("resnet50.a1_in1k")
