"""The downloader, against a server in this process that can misbehave."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from minigrad.data import DataError, download
from minigrad.data.download import RemoteFile, fetch

CONTENT = bytes(range(256)) * 1000


class Server(ThreadingHTTPServer):
    """Serves `content`; `breaks`: after how many bytes each of the coming answers is cut off."""

    def __init__(self, content=CONTENT):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.breaks, self.ranges, self.requests = content, [], True, []
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked, content = self.headers["Range"], self.server.content
        self.server.requests.append(asked)
        if self.path != "/file.bin":
            return self.send_error(404)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.ranges else 0
        if start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + self.server.breaks.pop(0) if self.server.breaks else None
        self.wfile.write(content[start:end])

    def log_message(self, *args):
        pass


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(download, "PAUSES", (0.0,))


@pytest.fixture
def serve():
    servers = []

    def start(content=CONTENT):
        servers.append(Server(content))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.01}).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def remote(*servers, name="file.bin", content=CONTENT):
    return RemoteFile(name, hashlib.md5(content).hexdigest(), tuple(server.url for server in servers))


def left_over(directory):
    return sorted(path.name for path in directory.iterdir() if path.name != ".lock")


def test_downloads_once(serve, tmp_path):
    server = serve()
    path = fetch(remote(server), tmp_path / "new" / "place")
    assert path == tmp_path / "new" / "place" / "file.bin" and path.read_bytes() == CONTENT
    assert left_over(path.parent) == ["file.bin"]
    assert fetch(remote(server), path.parent) == path
    assert server.requests == [None]


def test_a_dropped_connection_is_resumed(serve, tmp_path):
    server = serve()
    server.breaks = [1000, 70_000]
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=1000-", "bytes=71000-"]


def test_a_later_call_goes_on(serve, tmp_path):
    server = serve()
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:5000])
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.requests == ["bytes=5000-"]


def test_a_complete_part_needs_no_bytes(serve, tmp_path):
    server = serve()
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert left_over(tmp_path) == ["file.bin"]


def test_a_server_without_ranges_starts_again(serve, tmp_path):
    server = serve()
    server.ranges = False
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:5000])
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.requests == ["bytes=5000-"]


@pytest.mark.parametrize("leftover", [b"rubbish", b"rubbish" * 100_000])
def test_a_bad_leftover_is_thrown_away(serve, tmp_path, leftover):
    server = serve()
    (tmp_path / "file.bin.part").write_bytes(leftover)
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.requests[-1] is None


def test_the_next_mirror_goes_on_where_the_first_gave_up(serve, tmp_path):
    first, second = serve(), serve()
    first.breaks = [3000, 0]
    assert fetch(remote(first, second), tmp_path).read_bytes() == CONTENT
    assert second.requests == ["bytes=3000-"]


def test_a_corrupted_file_is_fetched_from_the_next_mirror(serve, tmp_path):
    corrupted, good = serve(CONTENT[:-1] + b"!"), serve()
    assert fetch(remote(corrupted, good), tmp_path).read_bytes() == CONTENT
    assert corrupted.requests == [None] and good.requests == [None]


def test_all_mirrors_dead(serve, tmp_path):
    corrupted, missing, dead = serve(b"other"), serve(), Server()
    dead.server_close()
    file = remote(corrupted, missing, dead)
    missing.RequestHandlerClass = type("Missing", (Handler,), {"do_GET": lambda self: self.send_error(404)})
    with pytest.raises(DataError) as caught:
        fetch(file, tmp_path)
    message = str(caught.value)
    for part in (
        "cannot download file.bin",
        f"{corrupted.url}file.bin: wrong bytes: md5 is {hashlib.md5(b'other').hexdigest()}, must be {file.md5}",
        f"{missing.url}file.bin: HTTP Error 404",
        "Connection refused",
        f"put file.bin (md5 {file.md5}, from {corrupted.url}file.bin) into {tmp_path}",
    ):
        assert part in message
    assert left_over(tmp_path) == []


def test_no_half_file_gets_the_name(serve, tmp_path):
    server = serve()
    server.breaks = [1000, 0]
    with pytest.raises(DataError, match="connection dropped after 1000 of 256000 bytes"):
        fetch(remote(server), tmp_path)
    assert left_over(tmp_path) == ["file.bin.part"]  # kept, to go on from


def test_connection_reset_while_reading(serve, tmp_path, monkeypatch):
    server = serve()
    server.breaks = [1000]
    receive, calls = download.receive, []

    def resetting(response):
        calls.append(response)
        if len(calls) == 2:
            response.read1 = lambda size: exec("raise ConnectionResetError('reset by peer')")
        return receive(response)

    monkeypatch.setattr(download, "receive", resetting)
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=1000-"]


def test_processes_at_once_download_once(serve, tmp_path):
    pytest.importorskip("fcntl", reason="file locks are POSIX only")
    server = serve()
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch(remote(server), tmp_path), range(4)))
    assert paths[0].read_bytes() == CONTENT and len(server.requests) == 1


def test_works_without_file_locks(serve, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fcntl", None)
    assert fetch(remote(serve()), tmp_path).read_bytes() == CONTENT
    assert not (tmp_path / ".lock").exists()


def test_unwritable_directory(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot write .*/file/file\.bin"):
        fetch(RemoteFile("file.bin", "0", ("http://127.0.0.1:1/",)), tmp_path / "file")
