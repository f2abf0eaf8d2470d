"""Every format reads to the same arrays; torch's own layout and names load into nets that then agree with torch."""

import numpy as np
import pytest

import architectures
import minigrad as mg
from minigrad import nn
from minigrad.interop import WeightsError, load_weights, loading, read

torch = pytest.importorskip("torch", reason="the peer whose files are read")


def small_torch_net():
    layers = [torch.nn.Conv2d(3, 3, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 4, 5)).eval()


def small_net():
    return nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(48, 5))


def agree(net, peer, size, tolerance=1e-4):
    x = np.random.default_rng(0).standard_normal((2, size, size, 3), np.float32)
    with torch.no_grad():
        expected = peer(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    with mg.no_grad():
        got = net(mg.Tensor(x)).numpy()
    assert np.abs(got - expected).max() < tolerance * max(1.0, np.abs(expected).max())


def save_safetensors(state, path):
    from safetensors.torch import save_file

    save_file(state, path, metadata={"format": "pt"})


SAVERS = {
    "zip.pth": torch.save,
    "old.th": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "wrapped.tar": lambda state, path: torch.save(
        {"epoch": 3, "best": np.float64(1.5), "state_dict": {f"module.{n}": t for n, t in state.items()}}, path
    ),
    "model.pt": lambda state, path: torch.save({"model": state, "optimizer": {"state": {}, "lr": 0.1}}, path),
    "a.safetensors": save_safetensors,
    "a.npz": lambda state, path: np.savez(path, **{n: t.numpy() for n, t in state.items()}),
    "small.npz": lambda state, path: np.savez_compressed(path, **{n: t.numpy() for n, t in state.items()}),
}


@pytest.mark.parametrize("kind", SAVERS)
def test_a_torch_net_gives_the_same_logits_here(kind, tmp_path):
    """Three channels and 3x3: torch's shapes and ours are the same, of the filter and of the flattened layer."""
    peer, net = small_torch_net(), small_net()
    SAVERS[kind](peer.state_dict(), tmp_path / kind)
    origin = "torch" if kind.endswith("npz") else None
    assert load_weights(net, tmp_path / kind, origin, image_size=8) == ([], [])
    assert not net.training
    agree(net, peer, 8)


def test_a_file_that_does_not_tell_its_origin_is_refused_where_shapes_do_not_either(tmp_path):
    np.savez(tmp_path / "a.npz", **{n: t.numpy() for n, t in small_torch_net().state_dict().items()})
    with pytest.raises(WeightsError, match=r"its origin is not known .* say origin='torch'"):
        load_weights(small_net(), tmp_path / "a.npz", image_size=8)


def test_shapes_tell_the_origin_where_they_can(tmp_path):
    peer, net = torch.nn.Conv2d(3, 8, (3, 5)), nn.Conv2d(3, 8, (3, 5))
    np.savez(tmp_path / "a.npz", **{n: t.detach().numpy() for n, t in peer.state_dict().items()})
    load_weights(net, tmp_path / "a.npz", image_size=8)
    agree(net, lambda x: peer(x).permute(0, 2, 3, 1), 8)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", ["zip.pth", "a.safetensors"])
def test_16_bit_floats_become_float32(dtype, kind, tmp_path):
    state = {"w": torch.randn(3, 4).to(getattr(torch, dtype))}
    SAVERS[kind](state, tmp_path / kind)
    array = read(tmp_path / kind).arrays["w"]
    assert (array.astype(np.float32) == state["w"].float().numpy()).all()


def test_8_bit_floats_are_refused(tmp_path):
    save_safetensors({"w": torch.zeros(3).to(torch.float8_e4m3fn)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="F8_E4M3"):
        read(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "values, said",
    [
        ({"bn.running_var": torch.tensor([1.0, -0.5])}, "below 0"),
        ({"w": torch.tensor([1.0, float("nan")])}, "NaN"),
        ({"w": torch.tensor([1.0, float("inf")])}, "NaN or infinite"),
    ],
)
def test_values_are_looked_at(values, said, tmp_path):
    torch.save(values, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=said):
        read(tmp_path / "a.pth")


def test_complex_numbers_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", w=np.ones(3, np.complex64))
    with pytest.raises(WeightsError, match="complex64"):
        read(tmp_path / "a.npz")


def test_a_bias_before_batch_norm_is_taken_off_the_running_mean(tmp_path):
    peer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).eval()
    peer[0].bias.data.fill_(2.0)
    peer[1].running_mean.normal_()
    torch.save(peer.state_dict(), tmp_path / "a.pth")
    net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))
    load_weights(net, tmp_path / "a.pth", image_size=8)
    agree(net, lambda x: peer(x).permute(0, 2, 3, 1), 8)


def test_another_head_on_request(tmp_path):
    torch.save(small_torch_net().state_dict(), tmp_path / "a.pth")
    net = nn.Sequential(*list(small_net())[:-1], nn.Linear(48, 2))
    with pytest.raises(WeightsError, match=r"4.weight \(5, 48\) \(here \(2, 48\)\).*strict=False"):
        load_weights(net, tmp_path / "a.pth", image_size=8)
    before = net[4].weight.numpy().copy()
    assert load_weights(net, tmp_path / "a.pth", strict=False, image_size=8).missing == ["4.weight", "4.bias"]
    assert (net[4].weight.numpy() == before).all()


def test_nothing_changes_where_a_file_does_not_fit(tmp_path):
    torch.save({"0.weight": torch.zeros(3, 3, 3, 3)}, tmp_path / "a.pth")
    net = small_net()
    before = {n: a.copy() for n, a in net.state_dict().items()}
    with pytest.raises(WeightsError, match=r"missing \(3\): 0.bias, 4.weight, 4.bias"):
        load_weights(net, tmp_path / "a.pth", image_size=8)
    assert all((before[n] == a).all() for n, a in net.state_dict().items())
    torch.save({"other": torch.zeros(3)}, tmp_path / "b.pth")
    with pytest.raises(WeightsError, match="nothing in it fits"):
        load_weights(net, tmp_path / "b.pth", strict=False, image_size=8)


def cifar_state(**renamed):
    """A torch state_dict of our resnet20's names and shapes, with the head under another name."""
    from minigrad.interop.layout import to_torch

    net = architectures.create("resnet20")
    state = {n: torch.from_numpy(np.array(to_torch(a))) for n, a in net.state_dict().items()}
    return {renamed.get(n, n): t for n, t in state.items()}


def test_where_shortcuts_pad_has_to_be_said(tmp_path):
    torch.save(cifar_state(), tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"shortcut='A' .* or shortcut='A_centre'"):
        architectures.create("resnet20", weights=tmp_path / "a.pth")
    assert architectures.create("resnet20", weights=tmp_path / "a.pth", shortcut="A").made.settings["shortcut"] == "A"


def test_akamasters_names_mean_zero_channels_at_both_sides(tmp_path):
    state = cifar_state(**{"fc.weight": "linear.weight", "fc.bias": "linear.bias"})
    torch.save(state, tmp_path / "a.pth")
    net = architectures.create("resnet20", weights=tmp_path / "a.pth")
    assert net.made.settings["shortcut"] == "A_centre" and not net.training
    with pytest.raises(WeightsError, match=r"create\('resnet20', shortcut='A_centre'\)"):
        load_weights(architectures.create("resnet20"), tmp_path / "a.pth")
    with pytest.warns(UserWarning, match="need shortcut='A_centre', the net has 'A'"):
        architectures.create("resnet20", weights=tmp_path / "a.pth", shortcut="A")


def test_the_number_of_classes_is_the_files_unless_asked_for(tmp_path):
    torch.save(cifar_state(), tmp_path / "a.pth")
    net = architectures.create("resnet20", weights=tmp_path / "a.pth", shortcut="A", num_classes=3)
    assert net.loaded.missing == ["fc.weight", "fc.bias"] and net.fc.out_features == 3
    state = {n: t[:4] if n.startswith("fc.") else t for n, t in cifar_state().items()}
    torch.save(state, tmp_path / "b.pth")
    net = architectures.create("resnet20", weights=tmp_path / "b.pth", shortcut="A")
    assert net.loaded.missing == [] and net.fc.out_features == 4


@pytest.mark.parametrize(
    "net, classes, side, mean, resize",
    [
        ("resnet50", 1000, 224, (0.485, 0.456, 0.406), 256),
        ("inception_v4", 1000, 299, (0.5, 0.5, 0.5), 342),
        ("googlenet_torchvision", 1000, 224, None, None),  # only torchvision's own file tells
        ("googlenet_torchvision transform_input", 1000, 224, (0.485, 0.456, 0.406), 256),  # the option tells
        ("resnet50", 7, 224, None, None),
        ("resnet20", 10, 32, None, None),
    ],
)
def test_what_the_images_have_to_be_like_is_known_or_not(net, classes, side, mean, resize, tmp_path):
    from types import SimpleNamespace

    name, _, option = net.partition(" ")
    made = SimpleNamespace(name=name, num_classes=classes, image_size=(side, side), settings={option: True})
    net, source = (SimpleNamespace(made=made), SimpleNamespace(contents=SimpleNamespace(origin="torch", path=tmp_path)))
    found = loading.usual_preprocessing(net, source)
    assert (found and (found.mean, found.resize, found.size)) == (mean and (mean, resize, side))
