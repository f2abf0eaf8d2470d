"""A server of files in this process that can misbehave, for the tests of downloads."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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


@contextmanager
def serving():
    """Within this block start(content) gives a running Server."""
    servers = []

    def start(content=CONTENT):
        servers.append(Server(content))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.01}).start()
        return servers[-1]

    try:
        yield start
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
