"""The server of the page: it answers this machine only, reads only, and gives nothing but what the page shows.

/                       the page
/runs.json              what is known of each run
/runs/NUMBER/FILE       a picture of a run, and the gradient of each weight at its last epoch
"""

import json
import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .page import page
from .runs import PICTURES, Runs

FLOW = "flow.json"
PLACE = re.compile(r"/runs/(\d{1,6})/([a-z.]+)")
INLINE = "script-src 'unsafe-inline'; style-src 'unsafe-inline'"
POLICY = f"default-src 'none'; {INLINE}; img-src 'self' data:; connect-src 'self'"
JSON, HTML, PNG = "application/json", "text/html; charset=utf-8", "image/png"


class Server(ThreadingHTTPServer):
    """Serves the runs in a directory. OSError where the port can't be had."""

    daemon_threads = True

    def __init__(self, directory, port=0):
        self.runs = Runs(Path(directory))
        super().__init__(("127.0.0.1", port), Handler)

    def is_its_own(self, host):
        """Is this how the page is called here? A page of another name, which leads here, learns nothing."""
        return host in {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}


class Handler(BaseHTTPRequestHandler):
    server_version, sys_version = "minigrad", ""

    def do_GET(self):
        if not self.server.is_its_own(self.headers.get("Host")):
            return self.send_error(HTTPStatus.FORBIDDEN)
        found = self.found(self.path.partition("?")[0])
        if found is None:
            return self.send_error(HTTPStatus.NOT_FOUND)
        return self.answer(*found)

    def found(self, path):
        """(type, bytes) of what is at a path; None: nothing is."""
        runs = self.server.runs
        if path == "/":
            return HTML, page(runs.root.resolve().name).encode()
        if path == "/runs.json":
            return JSON, encoded(runs.told())
        place = PLACE.fullmatch(path)
        directory = place and runs.directory(int(place[1]))
        if not directory:
            return None
        if place[2] == FLOW:
            return JSON, encoded(runs.flow(directory))
        return picture(directory, place[2])

    def answer(self, kind, body):
        self.send_response(HTTPStatus.OK)
        for name, value in (
            ("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"),
            ("Content-Security-Policy", POLICY), ("X-Content-Type-Options", "nosniff"),
        ):  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *message):
        """Nothing is said of each request."""


def picture(directory, name):
    """(type, bytes) of one of a run's pictures; None where it has none."""
    try:
        return (PNG, (directory / name).read_bytes()) if name in PICTURES else None
    except OSError:
        return None


def encoded(value):
    return json.dumps(value).encode()
