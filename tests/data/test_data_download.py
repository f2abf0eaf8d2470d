"""The downloader, against a server in this process that can misbehave."""

import hashlib
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from file_server import CONTENT, Handler, Server, serving

from minigrad.data import DataError, connection, download, lock
from minigrad.data.download import RemoteFile, fetch


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(download, "PAUSES", (0.0,))


@pytest.fixture
def serve():
    with serving() as start:
        yield start


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
        f"{corrupted.url}file.bin: wrong bytes: md5 is {hashlib.md5(b'other').hexdigest()}, must be {file.checksum}",
        f"{missing.url}file.bin: HTTP Error 404",
        "Connection refused",
        f"put file.bin (md5 {file.checksum}, from {corrupted.url}file.bin) into {tmp_path}",
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


# Mirrors that are broken, or made to do harm


def speaker(serve, speak, content=CONTENT):
    """A server that answers each request by speak(handler), which writes what it likes."""
    server = serve(content)

    def do_GET(self):
        self.server.requests.append(self.headers["Range"])
        try:
            speak(self)
        except OSError:  # the client left
            pass

    server.RequestHandlerClass = type("Speaker", (Handler,), {"do_GET": do_GET, "timeout": 5})
    return server


def answer(handler, *headers, status=200, body=b""):
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize(
    "speak",
    [
        lambda handler: answer(handler, status=416),
        lambda handler: answer(handler, ("Content-Length", "abc"), body=CONTENT),
        lambda handler: answer(handler, ("Content-Length", "-5"), body=CONTENT),
        lambda handler: answer(handler, ("Content-Length", "9" * 30), body=CONTENT),
        lambda handler: answer(handler, ("Location", "http://[broken"), status=302),
        lambda handler: answer(handler, ("Location", "http://name:port/"), status=301),
        lambda handler: answer(handler, ("Location", "file:///etc/hostname"), status=302),
        lambda handler: answer(handler, ("Location", "/file.bin"), status=302),  # to itself
        lambda handler: answer(handler, ("Location", "http://" + "a" * 300 + ".example/"), status=307),
        lambda handler: answer(handler, ("Location", "http://x\x00y/"), status=308),
        lambda handler: handler.wfile.write(b"rubbish\r\n\r\n"),
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000),
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nrubbish\r\n"),
        lambda handler: None,  # no answer at all
        lambda handler: answer(handler, status=206, body=b"x" * 10),
    ],
    ids=range(15),
)
@pytest.mark.parametrize("part", [None, CONTENT[:1000]], ids=["fresh", "resumed"])
def test_after_a_broken_mirror_the_next_one_is_asked(serve, tmp_path, speak, part):
    if part is not None:
        (tmp_path / "file.bin.part").write_bytes(part)
    broken, good = speaker(serve, speak), serve()
    assert fetch(remote(broken, good), tmp_path).read_bytes() == CONTENT
    assert 1 <= len(broken.requests) < 25


def endless(handler, pause=0.0, size=1 << 16):
    """Bytes without end."""
    answer(handler)
    while True:
        handler.wfile.write(bytes(size))
        time.sleep(pause)


def endless_header(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\na: ")
    while True:
        handler.wfile.write(b"a")
        time.sleep(0.02)


def endless_redirection(handler):
    """A page without end beside the new address."""
    answer(handler, ("Location", "/elsewhere"), status=302)
    while True:
        handler.wfile.write(bytes(1 << 16))


def endless_chunk_size(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        handler.wfile.write(b"0")
        time.sleep(0.02)


def one_byte(handler):
    """One byte of many, then the end of the connection."""
    start = int((handler.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    length = str(len(CONTENT) - start)
    answer(handler, ("Content-Length", length), status=206 if start else 200, body=CONTENT[start : start + 1])


@pytest.mark.parametrize(
    "speak, reason",
    [
        (endless, "it sends more than 1,000,000 bytes"),
        (lambda handler: endless(handler, 0.02, 1), "too slow: .* bytes in 0 seconds|too slow: not complete"),
        (endless_header, "too slow: not complete after 0 seconds"),
        (endless_redirection, "infinite loop"),
        (endless_chunk_size, "too slow: not complete after [12] seconds"),
        (one_byte, "not complete after 20 requests, 20 bytes"),
    ],
    ids=["endless", "slow", "header", "redirection", "chunk", "one byte"],
)
def test_limits_on_bytes_time_and_requests(serve, tmp_path, monkeypatch, speak, reason):
    monkeypatch.setattr(download, "LARGEST", 1_000_000)
    monkeypatch.setattr(download, "WINDOW", 0.3)
    monkeypatch.setattr(download, "TIME", 1.5)
    monkeypatch.setattr(connection, "HEADER", 0.5)
    server, start = speaker(serve, speak), time.perf_counter()
    with pytest.raises(DataError, match=reason):
        fetch(remote(server), tmp_path)
    assert time.perf_counter() - start < 5 and len(server.requests) <= 20
    assert not (tmp_path / "file.bin").exists()


def test_pauses_become_longer(serve, tmp_path, monkeypatch):
    slept = []
    monkeypatch.setattr(download, "PAUSES", (1.0, 2.0, 4.0))
    monkeypatch.setattr(download.time, "sleep", slept.append)
    with pytest.raises(DataError, match="not complete after 20 requests"):
        fetch(remote(speaker(serve, one_byte)), tmp_path)
    assert slept == [1, 2] + [4] * 17


def test_a_full_disk_is_the_directorys_fault(serve, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "copy", full)
    first, second = serve(), serve()
    with pytest.raises(DataError, match=r"cannot write .*file\.bin: No space left on device$"):
        fetch(remote(first, second), tmp_path)
    assert len(first.requests) == 1 and not second.requests


# The lock


needs_locks = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="file locks are POSIX only")


@needs_locks
def test_waiting_for_a_lock_says_for_whom(serve, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(lock, "PATIENCE", 0.1)
    with ThreadPoolExecutor(1) as pool:
        with lock.locked(tmp_path / ".lock", "downloads file.bin"):
            waiting = pool.submit(fetch, remote(serve()), tmp_path)
            time.sleep(0.5)
            assert not waiting.done()
        assert waiting.result().read_bytes() == CONTENT
    expected = rf"waiting for process {os.getpid()} on .*, which downloads file.bin \(it holds {tmp_path}/.lock\)\n"
    assert re.fullmatch(expected, capfd.readouterr().err)


@needs_locks
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_linked_lock_or_part_is_not_written_through(serve, tmp_path, link):
    precious = tmp_path / "precious"
    for name in (".lock", "file.bin.part"):
        precious.write_text("precious")
        directory = tmp_path / name.strip(".")
        directory.mkdir()
        link(precious, directory / name)
        try:
            fetch(remote(serve()), directory)
        except DataError as error:
            assert "a link is in the place of a" in str(error)
        assert precious.read_text() == "precious"


@needs_locks
def test_a_pipe_in_the_place_of_a_lock(serve, tmp_path):
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(DataError, match=r"\.lock: no regular file, so it can't be a lock; remove it"):
        fetch(remote(serve()), tmp_path)
