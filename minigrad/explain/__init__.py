"""What a learner opens: pictures and tables of what a net computes, and of how its gradients come about.

Every function returns a small result that holds the numbers; `print(result)` gives a text or a table, `result.plot()`
a matplotlib figure, which a notebook also shows when the result of a picture stands at the end of a cell.

    Stepper                 the backward pass one step at a time, with all that a step uses and gives
    graph                   a picture of what computed a loss
    element                 one number of a gradient as the sum of its terms
    ledger                  what each op keeps for the backward pass, in bytes
    gradient_flow           how large the gradient of each layer's weight is
    vanishing_gradients     how large a gradient arrives at each layer of plain, residual and dense nets
    filters, feature_maps   what a convolution looks for, and what layers give for an image
    saliency, grad_cam      which pixels decide
    confusion               which classes a model takes for which
    feature_reuse           which earlier layers the layers of a DenseNet read
    find_nan, detect_anomaly    which op made the first NaN or infinity

Each stands in the file of its name (find_nan and detect_anomaly in anomaly.py). All are imported here, at once: a
submodule that is imported later would take the place of the function of its name. A film of a whole training run, epoch
by epoch, is minigrad.film's.
"""

from kernels import loops as loops  # the old name of kernels.loops

from .anomaly import AnomalyError as AnomalyError
from .anomaly import NonFinite as NonFinite
from .anomaly import detect_anomaly as detect_anomaly
from .anomaly import find_nan as find_nan
from .confusion import Confusion as Confusion
from .confusion import confusion as confusion
from .element import Element as Element
from .element import element as element
from .feature_maps import FeatureMaps as FeatureMaps
from .feature_maps import feature_maps as feature_maps
from .feature_reuse import FeatureReuse as FeatureReuse
from .feature_reuse import feature_reuse as feature_reuse
from .filters import Filters as Filters
from .filters import filters as filters
from .grad_cam import GradCam as GradCam
from .grad_cam import grad_cam as grad_cam
from .gradient_flow import GradientFlow as GradientFlow
from .gradient_flow import gradient_flow as gradient_flow
from .graph import Graph as Graph
from .graph import graph as graph
from .ledger import Ledger as Ledger
from .ledger import ledger as ledger
from .saliency import Saliency as Saliency
from .saliency import saliency as saliency
from .stepper import Stepper as Stepper
from .stepper import StepView as StepView
from .vanishing_gradients import VanishingGradients as VanishingGradients
from .vanishing_gradients import vanishing_gradients as vanishing_gradients

highway, Highway = vanishing_gradients, VanishingGradients  # their old names
