"""Optimizers, learning-rate schedules, gradient clipping and averages of weights.

Names and arguments are those of torch.optim. Lion (Chen et al. 2023) is left out for this reason: torch has none whose
name and arguments would be followed, and none of the nets here was published with it.
"""

from . import lr_scheduler as lr_scheduler
from .adam import Adam as Adam
from .adam import AdamW as AdamW
from .averaging import AveragedModel as AveragedModel
from .averaging import ExponentialMovingAverage as ExponentialMovingAverage
from .averaging import polyak as polyak
from .clip import clip_grad_norm_ as clip_grad_norm_
from .clip import clip_grad_value_ as clip_grad_value_
from .grad_scaler import GradScaler as GradScaler
from .optimizer import Optimizer as Optimizer
from .params import parameter_groups as parameter_groups
from .running import Adagrad as Adagrad
from .running import RMSprop as RMSprop
from .sgd import SGD as SGD
