"""python -m minigrad.doctor [--device NAME ...]: exit status 1 if a self-test failed, 2 for a wrong command line."""

import argparse
import sys

from ..device import get_device
from .findings import gpu, packages, processor
from .selftest import self_test

MARKS = {True: "ok  ", False: "FAIL", None: "-   "}


def show(finding):
    print(f"{MARKS[finding.ok]} {finding.what:24} {finding.found}")
    if finding.advice:
        print(f"{'':29} -> {finding.advice}")


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m minigrad.doctor", description=__doc__)
    parser.add_argument("--device", nargs="+", default=["cpu", "cuda"], help="test these (default: cpu cuda)")
    devices, failed = parser.parse_args(argv).device, False
    for device in devices:
        try:
            get_device(device)
        except ValueError as error:
            parser.error(str(error))
        except RuntimeError:
            pass  # a known device that is not here: the self-test says why
    for title, group in [("packages", packages), ("processor", processor), ("GPU", gpu)]:
        print(f"\n{title}")
        for finding in group():
            show(finding)
    print("\nself-test (the first one compiles kernels)")
    for device in devices:
        for finding in self_test(device):
            show(finding)
            failed |= finding.ok is False
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
