"""A small file that claims to be of a large net is refused before memory for such a net is taken."""

import json
import subprocess
import sys

import numpy as np
import pytest

import architectures
from architectures import registry
from minigrad.interop import WeightsError, load_weights

resource = pytest.importorskip("resource", reason="what a process has taken is told by the system")
REFUSED = """
import resource, sys
import minigrad, architectures, minigrad.predict
from minigrad.interop import WeightsError
warm = architectures.create("resnet8")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    {call}
except WeightsError as error:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, error)
"""


def claiming(path, arch):
    """Kilobytes that say they are such a net."""
    from safetensors.numpy import save_file

    facts = {"arch": arch, "num_classes": 10, "in_channels": 3, "image_size": [224, 224], "options": {}}
    told = {"format": "pt", "minigrad_net": json.dumps(facts)}
    save_file({"features.0.weight": np.ones((64, 3, 3, 3), np.float32)}, path, told)
    return path


@pytest.mark.parametrize(
    "call",
    [
        "minigrad.load({path!r})",
        pytest.param("architectures.create('vgg16', weights={path!r})", marks=pytest.mark.long),
    ],
)
def test_the_peak_memory_of_a_process_that_is_told_of_vgg16(call, tmp_path):
    """VGG-16 itself takes 550 MB."""
    path = claiming(tmp_path / "small.safetensors", "vgg16")
    code = REFUSED.format(call=call.format(path=str(path)))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    megabytes, said = ran.stdout.strip().split(" ", 1)
    assert int(megabytes) < 60 and "does not fit Sequential: missing" in said and "\n" not in said


def test_an_outline_is_the_net_without_its_memory():
    net, sketch = architectures.create("resnet8", seed=3), registry.outline("resnet8")
    shapes = [{n: (t.shape, t.dtype) for n, t in m.named_parameters()} for m in (net, sketch)]
    assert shapes[0] == shapes[1] and net.made == sketch.made
    assert all(not any(p.data.strides) for p in sketch.parameters() if p.ndim > 1)


def test_weights_that_are_put_in_and_a_head_that_is_drawn_are_as_before(tmp_path):
    """The head of another size has the initial values of its seed."""
    net = architectures.create("resnet8", seed=1)
    np.savez(tmp_path / "a.npz", **net.state_dict())
    loaded = architectures.create("resnet8", weights=tmp_path / "a.npz", origin="minigrad", num_classes=7, seed=5)
    fresh = architectures.create("resnet8", num_classes=7, seed=5)
    assert np.array_equal(loaded.fc.weight.numpy(), fresh.fc.weight.numpy())
    assert np.array_equal(loaded.conv1.weight.numpy(), net.conv1.weight.numpy())
    with pytest.raises(WeightsError, match="does not fit"):
        load_weights(architectures.create("resnet14"), tmp_path / "a.npz", "minigrad")
