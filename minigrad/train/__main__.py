"""`python -m minigrad.train`. Exit status: 0 done, 1 diverged, 2 a wrong setting or file, 128 + n: signal n."""

import os
import signal
import sys
from contextlib import suppress

from .arguments import parse
from .errors import OutputClosed, UsageError, one_line
from .screen import writing


def main(argv=None):
    """Run the command with these arguments (those of the process, if None); the exit status."""
    try:
        return run(argv)
    except UsageError as error:
        print(f"minigrad.train: error: {one_line(str(error))}", file=sys.stderr)
        forget_output()
        return 2
    except OutputClosed:  # as after `| head -1`: nobody is there to be told
        forget_output()
        return 128 + getattr(signal, "SIGPIPE", 13)
    except KeyboardInterrupt:  # before training began; from then on it is orderly, see stopping.py
        return 130


def run(argv):
    """Parse, and do what was asked for. Whatever was printed has been written when this returns."""
    with writing():
        command = parse(argv)
    from .run import run  # after the arguments, so that --help is quick

    status = run(command)
    with writing():
        pass
    return status


def forget_output():
    """What could not be written to standard output is not tried again at the end of the process."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
