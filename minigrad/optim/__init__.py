"""Optimizers, learning-rate schedules, gradient clipping and averages of weights."""

from . import lr_scheduler as lr_scheduler
from .adam import Adam as Adam
from .adam import AdamW as AdamW
from .groups import parameter_groups as parameter_groups
from .optimizer import Optimizer as Optimizer
from .sgd import SGD as SGD
