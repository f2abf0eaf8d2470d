"""`python -m minigrad.train`. Exit status: 0 done, 1 diverged, 2 a wrong setting or file, 128 + n: signal n."""

import sys

from ..command.screen import concluded, writing
from .arguments import parse
from .together import in_one_voice

PROGRAM = "minigrad.train"


def main(argv=None):
    """Run the command with these arguments (those of the process, if None); the exit status."""
    return concluded(PROGRAM, lambda: run(argv))


def run(argv):
    """Parse, and do what was asked for. Whatever was printed has been written when this returns."""
    with in_one_voice(PROGRAM) as group:
        with writing():
            command = parse(argv)
        from .run import run  # after the arguments, so that --help is quick

        status = run(command, group)
        with writing():
            pass
        return status


if __name__ == "__main__":
    sys.exit(main())
