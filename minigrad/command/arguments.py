"""The argument parser of the commands, and checks of what it found."""

import argparse
import sys

from .errors import UsageError


class Parser(argparse.ArgumentParser):
    """argparse, whose errors are a UsageError, and that takes flags by their whole names only."""

    def __init__(self, command, arguments, **settings):
        names = dict(prog=f"minigrad.{command}", usage=f"python -m minigrad.{command} {arguments}")
        usual = dict(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)
        super().__init__(**{**names, **usual, **settings})

    def error(self, message):
        raise UsageError(message)

    def print_help(self, file=None):
        """argparse's own says nothing where it can't be written."""
        print(self.format_help(), end="", file=file)


def check_counts(asked, *names):
    """UsageError for an argument, named as an attribute, that was given and is less than 1."""
    for name in names:
        value = getattr(asked, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} must be an int >= 1; got {value}")


def parted(argv):
    """(arguments of this command, those after --, which are for the train command); of the process, if argv is None."""
    argv = list(sys.argv[1:] if argv is None else argv)
    end = argv.index("--") if "--" in argv else len(argv)
    return argv[:end], argv[end + 1 :]
