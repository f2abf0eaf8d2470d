"""What a run directory does to the state of an optimizer, a schedule or an average."""

import json

import numpy as np


def stored(saved):
    """A state as a run directory holds it: arrays copied, everything else through JSON."""
    settings = {n: v for n, v in saved.items() if n != "state"}
    return {**json.loads(json.dumps(settings)), "state": {n: np.array(a) for n, a in saved["state"].items()}}
