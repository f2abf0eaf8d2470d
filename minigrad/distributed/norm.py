"""Batch normalisation with the statistics of the whole batch, of which each process has a part."""

import numpy as np

from ..device import CPU
from ..nn import BatchNorm1d, BatchNorm2d
from ..nn import functional as F
from ..ops.checks import channels
from ..ops.norm import move_statistics
from ..precision import floats, norms
from ..recompute import recomputing
from ..tensor import op
from .world import init_process_group


@op(autocast=norms, types=floats)
def sync_batch_norm(
    ctx, x, gamma, beta, *, group, running_mean=None, running_var=None, momentum=0.1, eps=1e-5, relu=False
):
    """batch_norm in training, its sums over the x of all processes: M values a channel in all.

        x (..., C)   gamma (C,)   beta (C,)   ->   y as x, then max(y, 0) if relu

        y      = gamma xhat + beta   with   xhat = (x - mean) / sqrt(var + eps)
        dbeta  = sum dy,   dgamma = sum dy xhat             of this process alone, as of all weights
        dx     = gamma / sqrt(var + eps) (dy - (dbeta + xhat dgamma) / M)      with dbeta, dgamma summed over all

    ValueError for vectors that don't match x's channels, or one value a channel in all.
    """
    k = ctx.kernels
    channels("sync_batch_norm", x, gamma=gamma, beta=beta, running_mean=running_mean, running_var=running_var)
    mean, var, m = moments(group, ctx.device, *k.channel_mean_var(x), x.size // max(x.shape[-1], 1))
    if m <= 1:
        raise ValueError("sync_batch_norm: one value a channel has no variance; give the processes more images")
    if running_mean is not None:
        move_statistics(k, (running_mean, running_var), mean, var, momentum, m)

    def backward(dy):
        dx, dgamma, dbeta = k.batch_norm_apply_backward(dy, x, gamma, beta, mean, var, eps, relu)
        sums = group.all_reduce(ctx.xp.stack([dgamma, dbeta]))
        line = k.moments_line(gamma, var, sums[0], sums[1], eps, float(m))
        return k.through_moments(dx, x, mean, *line), dgamma, dbeta

    return k.batch_norm_apply(x, gamma, beta, mean, var, eps, relu), backward


def moments(group, device, mean, var, count):
    """Mean and variance of each channel and the number of values over all processes, from each one's (Chan 1979).

    They are gathered and added in the order of ranks, so that every process has the same bits.
    """
    own = count, *(CPU.asarray(a).astype(np.float64) for a in (mean, var))
    counts, means, variances = (np.array(part) for part in zip(*group.all_gather_object(own)))
    share = (counts / counts.sum())[:, None]
    total = (share * means).sum(0)
    spread = (share * (variances + (means - total) ** 2)).sum(0)
    return *(device.asarray(a.astype(mean.dtype)) for a in (total, spread)), int(counts.sum())


class SyncBatchNorm(BatchNorm2d):
    """BatchNorm2d whose statistics in training are those of the images of all processes. x (..., num_features).

    group: a Group; None: all processes. The rest is as of BatchNorm2d.
    """

    fuses_relu = True
    group = None

    @classmethod
    def convert_sync_batchnorm(cls, module, group=None):
        """Put a SyncBatchNorm with the same parameters in the place of each BatchNorm2d and BatchNorm1d in a module.

        Returns the module; a new one if it is a batch norm itself. Batch norms whose parameters are all frozen stay,
        and so do subclasses, which have a forward of their own.
        """
        if is_plain(module):
            return cls.instead_of(module, group)
        new = {}
        for parent in list(module.modules()):
            for name, child in list(vars(parent).items()):
                if is_plain(child):
                    new[id(child)] = new.get(id(child)) or cls.instead_of(child, group)
                    setattr(parent, name, new[id(child)])
        return module

    @classmethod
    def instead_of(cls, norm, group=None):
        """A SyncBatchNorm that shares all that a batch norm has."""
        sync = cls.__new__(cls)
        vars(sync).update(vars(norm), group=group)
        return sync

    def normalise(self, x, running_mean, running_var, weight, bias, training, momentum, eps, relu):
        """F.batch_norm, in training over all processes."""
        group = init_process_group() if self.group is None else self.group
        if not training or group.size == 1:
            return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps, relu)
        if recomputing():
            running_mean = running_var = None
        weight = x.device.xp.ones(x.shape[-1:], x.dtype) if weight is None else weight
        bias = x.device.xp.zeros(x.shape[-1:], x.dtype) if bias is None else bias
        running = dict(running_mean=running_mean, running_var=running_var, momentum=momentum)
        return sync_batch_norm(x, weight, bias, group=group, eps=eps, relu=relu, **running)


def is_plain(module):
    """A batch norm that is to be synchronised."""
    if type(module) not in (BatchNorm2d, BatchNorm1d):
        return False
    parameters = list(module.parameters())
    return not parameters or any(p.requires_grad for p in parameters)
