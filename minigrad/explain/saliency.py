"""saliency: which pixels decide, by the gradient of a class score with respect to the image."""

from dataclasses import dataclass

import numpy as np

from .capture import chosen_class, displayable, draw_map, run, score_gradients
from .figure import Plotted, figure


@dataclass(frozen=True, repr=False)
class Saliency(Plotted):
    """image, gradient (H, W, C); map (H, W): the largest |gradient| over channels; class_; score: its logit."""

    image: np.ndarray
    gradient: np.ndarray
    map: np.ndarray
    class_: int
    score: float

    def plot(self):
        """The image, and how much its score changes with each pixel."""
        fig, (left, right) = figure(1, 2, figsize=(7.5, 3.8))
        draw_map(left, displayable(self.image), "image", cmap="gray")
        drawn = draw_map(right, self.map, f"|d score / d pixel|, class {self.class_} (score {self.score:.3g})")
        fig.colorbar(drawn, ax=right, label="change of the score per unit of the pixel", shrink=0.9)
        return fig


def saliency(model, image, class_=None):
    """How the score (logit) of a class changes with each pixel (Simonyan et al. 2014, arXiv:1312.6034, section 3).

        image (H, W, C), prepared as the model wants it   ->   Saliency with map (H, W) = max over c of |d score / d x|

    class_ None: the predicted class. The model, in evaluation mode, is left as it was. ValueError for another shape of
    image, or a class that the model doesn't have.
    """
    captured = run("saliency", model, image)
    class_ = chosen_class("saliency", captured, class_)
    with score_gradients(model, captured, class_, captured.x) as (gradient,):
        gradient = gradient[0].copy()
    score = float(captured.logits.numpy()[0, class_])
    return Saliency(captured.x.numpy()[0], gradient, np.abs(gradient).max(-1), class_, score)
