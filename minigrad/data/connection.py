"""One request to a server that may answer slowly, wrongly or never."""

import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPSConnection
from urllib.error import HTTPError
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from .errors import MirrorError
from .text import reason, shown

TIMEOUT = 30.0  # seconds without a byte
HEADER = 60.0  # seconds until the answer begins


class Sockets:
    """The sockets of one request (a redirection opens another one), which can be cut off from another thread."""

    def __init__(self):
        self.open, self.late = [], False

    def opener(self):
        """What opens an address; each connection that it makes is noted."""
        plain, secure = noting(HTTPHandler, HTTPConnection, self), noting(HTTPSHandler, HTTPSConnection, self)
        return build_opener(plain, secure, Redirected)

    def cut(self):
        """End all connections: who waits for a byte is told that there will be none."""
        self.late = True
        for sock in self.open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is closed already
                pass


class Redirected(HTTPRedirectHandler):
    """Follows redirections without reading the pages that come with them, which may have no end."""

    def http_error_302(self, req, fp, code, msg, headers):
        fp.read = lambda *_: b""
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError:  # an address that can't be understood
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def noting(handler, connection, sockets):
    """urllib's handler, with connections that are noted when they are made."""

    class Noted(connection):
        def connect(self):
            super().connect()
            sockets.open.append(self.sock)

    class Noting(handler):
        def do_open(self, http_class, request, **settings):
            return super().do_open(Noted, request, **settings)

    return Noting()


@contextmanager
def opened(url, done, deadline):
    """The answer to a request for all but the first `done` bytes. MirrorError if none comes in time."""
    headers = {"User-Agent": "minigrad"} | ({"Range": f"bytes={done}-"} if done else {})
    sockets = Sockets()
    with ExitStack() as stack, cut_off(sockets, deadline - time.monotonic()):
        with cut_off(sockets, min(HEADER, deadline - time.monotonic())):
            response = stack.enter_context(ask(sockets, Request(url, headers=headers)))
        yield response


def ask(sockets, request):
    """The beginning of the answer. MirrorError if there is none."""
    try:
        return sockets.opener().open(request, timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        raise MirrorError(shown(str(error).splitlines()[0])) from error
    except Exception as error:  # a bad address or redirection can raise nearly anything
        cause = getattr(error, "reason", error)  # of a URLError
        raise MirrorError(reason(cause) if isinstance(cause, Exception) else shown(str(cause))) from error


@contextmanager
def cut_off(sockets, seconds):
    """Within this block the connections are cut when the time is over, whatever they wait for: MirrorError then."""
    timer = threading.Timer(max(seconds, 0), sockets.cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if sockets.late:  # what came may look like a whole answer
        raise MirrorError(f"too slow: not complete after {seconds:.0f} seconds")
