"""What lies in the directories of training runs, and the runs of a study one after the other."""

from .reading import Run as Run
from .reading import found as found
from .study import Study as Study
