"""What kind of mistake a wrong gradient looks like: hypotheses, tried one after the other on the evidence."""

from .evidence import Evidence as Evidence
from .hypotheses import guess as guess
