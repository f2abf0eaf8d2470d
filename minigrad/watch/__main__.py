"""`python -m minigrad.watch DIR`: serves a page of the runs in a directory, on this machine only, until Ctrl-C."""

import sys
from pathlib import Path

from ..command.arguments import Parser
from ..command.errors import UsageError
from ..command.screen import concluded, say, writing
from .server import Server

EXAMPLES = """examples:
  python -m minigrad.watch runs/
  python -m minigrad.watch runs/sweep --port 8080
"""
PORT = 6007


def parser():
    top = Parser(
        "watch", "DIR [option ...]", description="Show runs while they train, and afterwards.", epilog=EXAMPLES
    )
    top.add_argument("directory", metavar="DIR", help="with directories of runs in it, one or two deep; or a run's own")
    top.add_argument("--port", type=int, default=PORT, metavar="N", help=f"of the page (default: {PORT}; 0: any)")
    return top


def main(argv=None):
    """Run the command with these arguments (those of the process, if None); the exit status."""
    return concluded("minigrad.watch", lambda: watch(argv))


def watch(argv):
    with writing():
        asked = parser().parse_args(argv)
    if not asked.directory or not Path(asked.directory).is_dir():
        raise UsageError(f"DIR must be a directory of runs; got {asked.directory!r}")
    if not 0 <= asked.port < 1 << 16:
        raise UsageError(f"--port must be from 0 to 65535; got {asked.port}")
    try:
        server = Server(asked.directory, asked.port)
    except OSError as error:
        raise UsageError(f"--port {asked.port}: {error.strerror}; another one may be free (0: any)") from None
    with server:
        say(f"http://127.0.0.1:{server.server_port}/ shows the runs in {asked.directory}; Ctrl-C ends it", always=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0


if __name__ == "__main__":
    sys.exit(main())
