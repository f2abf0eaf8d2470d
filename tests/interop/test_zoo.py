"""Weights that are known by name: downloaded with their checksum, or one line that says which file to put where."""

import hashlib
import io
import time

import numpy as np
import pytest
from file_server import Handler, serving

import architectures
import minigrad as mg
from architectures.registry import find
from minigrad.data import connection, download
from minigrad.interop import Preprocessing, WeightsError, fetching, read, zoo
from minigrad.interop.zoo import Accuracy, Known
from minigrad.predict.__main__ import main
from minigrad.train.__main__ import main as train


def weights_of(net):
    file = io.BytesIO()
    np.savez(file, **net.state_dict())
    return file.getvalue()


NET = architectures.create("lenet5", seed=3)
CONTENT = weights_of(NET)
GREY = Preprocessing(32, (0.5,), (0.5,), channels="L")


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server of a file of weights that is a row of the zoo, and an empty folder for what is downloaded."""
    monkeypatch.setattr(download, "PAUSES", (0.0,))
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    with serving() as start:
        server = start(CONTENT)
        digest, url = hashlib.sha256(CONTENT).hexdigest(), f"{server.url}file.bin"
        row = Known("lenet.npz", "lenet5", "here", "MIT", digest, GREY, Accuracy(99, None, "MNIST"), None, url)
        monkeypatch.setattr(fetching, "KNOWN", (row,))
        monkeypatch.setattr(zoo, "KNOWN", (row,))
        yield server


def left_over(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache" / "weights").iterdir() if path.name != ".lock")


def test_a_known_name_and_a_known_address_are_downloaded_once(server, tmp_path):
    net = architectures.create("lenet5", weights="lenet.npz", origin="minigrad")
    assert net.preprocessing == GREY and np.array_equal(net.c1.weight.numpy(), NET.c1.weight.numpy())
    assert read(f"{server.url}file.bin").path == str(tmp_path / "cache" / "weights" / "lenet.npz")
    assert mg.load("lenet.npz", origin="minigrad").preprocessing == GREY
    assert len(server.requests) == 1 and left_over(tmp_path) == ["lenet.npz"]


def test_a_file_of_that_name_in_this_folder_is_that_file(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lenet.npz").write_bytes(b"mine")
    with pytest.raises(WeightsError, match=r"^lenet.npz: no known file of weights"):
        read("lenet.npz")
    assert not server.requests


def test_a_transfer_that_breaks_off_is_gone_on_with(server):
    server.breaks = [5000, 20_000]
    assert read("lenet.npz").arrays and server.requests == [None, "bytes=5000-", "bytes=25000-"]


def stalling(handler):
    """Half of the file, and then nothing more, with the connection open."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT[: len(CONTENT) // 2])
    handler.wfile.flush()
    time.sleep(3)


def answering(do_get):
    """A fault of a server: it answers each request so."""
    return lambda server: setattr(server, "RequestHandlerClass", type("Faulty", (Handler,), {"do_GET": do_get}))


FAULTS = {
    "wrong bytes": (
        lambda server: setattr(server, "content", CONTENT[:-1] + b"!"), r"wrong bytes: sha256 is [0-9a-f]{64}, must be"
    ),
    "cut short": (lambda server: setattr(server, "breaks", [1000] + [0] * 20), "connection dropped after 1000 of"),
    "stalls": (answering(stalling), "timed out|too slow"),
    "404": (answering(lambda handler: handler.send_error(404)), "HTTP Error 404"),
    "no network": (lambda server: (server.shutdown(), server.server_close()), "refused"),
}  # fmt: skip


@pytest.mark.parametrize("fault, said", FAULTS.values(), ids=FAULTS)
def test_what_can_not_be_had_is_one_line_that_says_what_to_do(fault, said, server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(connection, "TIMEOUT", 0.3)
    monkeypatch.setattr(download, "REQUESTS", 2)
    fault(server)
    with pytest.raises(WeightsError, match=said) as caught:
        read("lenet.npz")
    place = tmp_path / "cache" / "weights"
    digest = hashlib.sha256(CONTENT).hexdigest()
    by_hand = f"put lenet.npz (sha256 {digest}, from {server.url}file.bin) into {place}, or give its path"
    assert str(caught.value).startswith("cannot download lenet.npz (") and str(caught.value).endswith(by_hand)
    assert "\n" not in str(caught.value) and "lenet.npz" not in left_over(tmp_path)
    assert main(["a.png", "--pretrained", "lenet.npz"]) == 2
    assert train(["-a", "lenet5", "--pretrained", "lenet.npz", "--plan"]) == 2
    assert capsys.readouterr().err.count("\n") == 2
    (place / "lenet.npz").write_bytes(CONTENT)  # by hand, as it said
    assert read("lenet.npz").arrays


def test_a_file_put_there_by_hand_is_compared(server, tmp_path):
    (tmp_path / "cache" / "weights").mkdir(parents=True)
    (tmp_path / "cache" / "weights" / "lenet.npz").write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(WeightsError, match=r"lenet.npz: damaged: its sha256 is .* Delete it and get it again"):
        read("lenet.npz")


def test_other_names_and_addresses_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="not one of the addresses"):
        read("https://example.org/resnet50.pth")
    with pytest.raises(WeightsError, match=r"resnet50-0676ba6.pth: no such file; the nearest .*resnet50-0676ba61.pth"):
        read("resnet50-0676ba6.pth")
    with pytest.raises(
        WeightsError, match=r"put it \(sha256 5f938a.*mlcommons/tiny\) into .*weights, or give its path$"
    ):
        read("mlperf_tiny_resnet8.h5")


def test_every_row_says_all_that_is_needed():
    rows = architectures.weights()
    assert len(rows) > 20 and len({row.name for row in rows}) == len({row.sha256 for row in rows}) == len(rows)
    for row in rows:
        assert find(row.net) and row.licence and row.source and len(row.sha256) in (8, 64)
        assert row.url is None or (row.url.startswith("https://") and row.published.data in zoo.SIZES)
    second = next(row for row in rows if row.name == "resnet50-11ad3fa6.pth")
    assert second.preprocessing.resize == 232 and str(second.published) == "80.858 / 95.434 % (ImageNet)"


def test_files_whose_digest_begins_so_are_known(tmp_path, monkeypatch):
    """torchvision tells the first eight digits only; its GoogLeNet expects 0.5, other files of that net may not."""
    (tmp_path / "a.pth").write_bytes(b"x")
    assert zoo.known(tmp_path / "a.pth") is None
    monkeypatch.setattr(zoo, "sha256_of", lambda path: "1378be20" + 56 * "0")
    assert zoo.known(tmp_path / "a.pth").preprocessing.mean == (0.5, 0.5, 0.5)
