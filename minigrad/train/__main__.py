"""`python -m minigrad.train`. Exit status: 0 done, 1 diverged, 2 a wrong setting or file, 128 + n: signal n."""

import sys

from .arguments import parse
from .errors import UsageError


def main(argv=None):
    """Run the command with these arguments (those of the process, if None); the exit status."""
    try:
        command = parse(argv)
        from .run import run  # after the arguments, so that --help is quick

        return run(command)
    except UsageError as error:
        print(f"minigrad.train: error: {'; '.join(str(error).splitlines())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before training began; from then on it is orderly, see stopping.py
        return 130


if __name__ == "__main__":
    sys.exit(main())
