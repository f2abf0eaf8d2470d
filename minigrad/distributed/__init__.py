"""Many processes that train one net, each on its share of every batch: `mpiexec -n 4 python FILE.py`.

    group = distributed.init_process_group()          # group.rank of group.size
    net = distributed.SyncBatchNorm.convert_sync_batchnorm(net)
    reducer = distributed.GradientReducer(net.parameters())
    sampler = DistributedSampler(images, group.size, group.rank)
    for x, labels in DataLoader(images, 32, sampler=sampler):
        reducer.backward(F.cross_entropy(net(x), labels))   # in the place of loss.backward()
        optimizer.step()

Names are torch.distributed's. Without mpiexec there is one process, and all of this works and does nothing.
"""

from .group import Group as Group
from .norm import SyncBatchNorm as SyncBatchNorm
from .reducer import GradientReducer as GradientReducer
from .world import all_gather_object as all_gather_object
from .world import all_reduce as all_reduce
from .world import barrier as barrier
from .world import broadcast as broadcast
from .world import get_rank as get_rank
from .world import get_world_size as get_world_size
from .world import init_process_group as init_process_group


def __getattr__(name):
    """DistributedSampler, from minigrad.data, which the command's --help does without."""
    if name == "DistributedSampler":
        from ..data import DistributedSampler

        return DistributedSampler
    raise AttributeError(f"module 'minigrad.distributed' has no attribute {name!r}")
