"""grad_cam: where in the image a layer sees a class."""

from dataclasses import dataclass

import numpy as np

from .capture import chosen_class, displayable, draw_map, maps, output, run, score_gradients
from .figure import Plotted, figure, plain


@dataclass(frozen=True, repr=False)
class GradCam(Plotted):
    """What Grad-CAM found.

    image (H, W, C); layer: the module whose maps were weighted; class_; score: its logit; name: the class's, if known
    weights (K,)   mean gradient of the score over each of the layer's maps
    coarse (P, Q)  max(0, sum over k of weights[k] maps[p, q, k])
    map (H, W)     coarse, enlarged to the image's size (linear)
    """

    image: np.ndarray
    layer: str
    class_: int
    score: float
    weights: np.ndarray
    coarse: np.ndarray
    map: np.ndarray
    name: str | None = None

    def plot(self):
        """The image, the map, and the map laid over the image."""
        fig, (left, middle, right) = figure(1, 3, figsize=(10.5, 4.1))
        draw_map(left, displayable(self.image), "image", cmap="gray")
        class_ = f"class {self.class_}" if self.name is None else plain(self.name)
        title = f"Grad-CAM, {class_} (score {self.score:.3g})"
        drawn = draw_map(middle, self.coarse, f"{title}\n{plain(self.layer)} {self.coarse.shape}")
        fig.colorbar(drawn, ax=middle, label="weighted sum of maps, at least 0", shrink=0.9)
        draw_map(right, displayable(self.image), "laid over the image", cmap="gray")
        draw_map(right, self.map, "laid over the image", alpha=0.55)
        return fig


def grad_cam(model, image, class_=None, layer=None):
    """Where a layer sees a class (Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2) -> GradCam.

        weights[k]  = mean over p, q of d score / d maps[p,q,k]
        coarse[p,q] = max(0, sum over k of weights[k] maps[p,q,k])

    image (H, W, C), prepared as the model wants it; class_ None: the predicted class; layer: the name of the module
    whose output (1, P, Q, K) to take, None: the last one whose maps are larger than 1x1. The model, in evaluation mode,
    is left as it was. ValueError for another shape of image, or a class or layer that the model doesn't have.
    """
    captured = run("grad_cam", model, image)
    class_ = chosen_class("grad_cam", captured, class_)
    layer = last_with_maps(captured) if layer is None else layer
    features = output("grad_cam", captured, layer)
    if features.ndim != 4:
        raise ValueError(f"grad_cam: layer must give maps (1, P, Q, K); {layer} gives shape {features.shape}")
    with score_gradients(model, captured, class_, features) as (gradient,):
        weights = gradient[0].mean((0, 1))
    coarse = np.maximum(features.numpy()[0] @ weights, 0)
    x, score = captured.x.numpy()[0], float(captured.logits.numpy()[0, class_])
    return GradCam(x, layer, class_, score, weights, coarse, enlarged(coarse, x.shape[:2]))


def last_with_maps(captured):
    """The name of the last module whose maps are larger than 1x1. ValueError where no module gives any."""
    found = list(maps(captured))
    if not found:
        raise ValueError("grad_cam: no module of this net gives maps larger than 1x1 (an ONNX graph has no modules)")
    return found[-1]


def enlarged(values, hw):
    """values (P, Q) at H x W positions by linear interpolation between the middles of the cells; the edges are kept."""
    for axis, n in enumerate(hw):
        cells = values.shape[axis]
        at = (np.arange(n) + 0.5) * cells / n - 0.5
        values = np.apply_along_axis(lambda line, at=at: np.interp(at, np.arange(len(line)), line), axis, values)
    return values
