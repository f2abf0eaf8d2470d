"""python -m minigrad.train on emulated GPUs with an NCCL whose messages MPI carries: nccl_run.py ARGUMENTS."""

import sys

import emulator
from emulator import nccl

from minigrad import distributed, use_kernels
from minigrad.train.__main__ import main

emulator.register()
nccl.join(distributed.init_process_group())
with use_kernels("reference"):
    status = main(sys.argv[1:])
group = distributed.init_process_group()
gpus = group.all_gather_object((len(nccl.made), len(nccl.made[0].sent) if nccl.made else 0, group.local_rank))
if group.rank == 0:
    print("communicators, messages, numbers:", *gpus)
sys.exit(status)
