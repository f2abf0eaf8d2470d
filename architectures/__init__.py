"""The nets of the papers, one file a family. `create(name)` builds one; `names()` lists them."""

from minigrad.interop.zoo import weights as weights

from .googlenet import training_loss as training_loss
from .pretrained import create as create
from .registry import families as families
from .registry import names as names
from .registry import register as register
from .registry import resolve as resolve
