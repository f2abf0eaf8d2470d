"""The kernels for learners, in Numba's simulator."""

import os
import re
import subprocess
import sys

from train_runs import ROOT


def test_they_compute_what_numpy_does():
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "kernels.cuda.in_python"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    relu, channel_sum = (float(n) for n in re.findall(r"at most (\S+)", done.stdout))
    assert relu == 0 and channel_sum < 1e-4
