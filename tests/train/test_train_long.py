"""Long runs: 2,000 steps in flat memory, no file and no thread left open."""

import gc
import json
import pathlib
import subprocess
import sys

import emulator
import numpy as np
import pytest
from cuda_cases import needs_emulator
from places import prepare
from train_runs import environment

from minigrad import nn, optim
from minigrad.device import get_device
from minigrad.train.loop import train_step

PROGRAM = """
import json, os, sys, threading
import numpy as np
from minigrad import nn
from minigrad.data import ArrayDataset
from minigrad.train import Trainer

def state(trainer, record):
    pages = int(open("/proc/self/statm").read().split()[1])
    trainer.session.keeper.wait()
    seen.append((pages, len(os.listdir("/proc/self/fd")), threading.active_count()))

seen = []
images = np.random.default_rng(0).integers(0, 256, (1600, 16, 16, 3), dtype=np.uint8)
data = ArrayDataset(images, np.arange(1600) % 10, [str(i) for i in range(10)])
net = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.1), nn.Flatten(),
    nn.Linear(1024, 10),
)
Trainer(
    net, data, data, output_dir=sys.argv[1], callbacks=[state], epochs=20, batch_size=16, workers=2, threads=1,
    limit_test_batches=10, checkpoint_steps=20, keep_last=2, model_ema=0.9, lr=0.01,
).fit()
print(json.dumps(seen))
"""


@pytest.mark.long
@pytest.mark.skipif(not pathlib.Path("/proc/self/statm").exists(), reason="no /proc, which tells of memory")
def test_memory_files_and_threads_of_2000_steps(tmp_path):
    line = [sys.executable, "-c", PROGRAM, tmp_path / "run"]
    done = subprocess.run(line, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr[-2000:]
    pages, files, threads = zip(*json.loads(done.stdout.splitlines()[-1]))
    assert len(pages) == 20
    early, late = max(pages[2:6]), max(pages[-5:-1])  # in the last, matplotlib is imported
    assert late < 1.01 * early, pages
    assert files[-2] <= files[2] and threads[-2] <= threads[2], (files, threads)


@pytest.mark.long
@needs_emulator
def test_memory_of_the_emulated_device_over_60_steps():
    """What the device holds after a step is the same each time, with all that was unused given back."""
    prepare("emulated")
    device = get_device("emulated")
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).to(device)
    optimizer = optim.SGD(net.parameters(), 0.01, momentum=0.9)
    x, labels = np.random.default_rng(0).standard_normal((4, 8, 8, 1)).astype(np.float32), np.arange(4) % 3
    held = []
    for _ in range(60):
        train_step(net, optimizer, x, labels)
        gc.collect()
        device.free_unused()
        held.append(emulator.memory.Held.now)
    assert len(set(held[2:])) == 1, held
