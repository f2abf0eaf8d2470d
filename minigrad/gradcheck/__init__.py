"""The check of one's own op: does its backward pass belong to its forward pass? And if not, what is the mistake?"""

from .cases import Case as Case
from .cases import check_case as check_case
from .check import gradcheck as gradcheck
from .report import GradcheckError as GradcheckError
from .report import KinkWarning as KinkWarning
