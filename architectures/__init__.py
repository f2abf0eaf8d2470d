"""The nets of the papers, one file a family. `create(name)` builds one; `names()` lists them."""

from .registry import create as create
from .registry import families as families
from .registry import names as names
from .registry import resolve as resolve
