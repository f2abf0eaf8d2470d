"""What a learner opens: pictures and tables of what a net computes, and of how its gradients come about.

Every function returns a small result that holds the numbers; `print(result)` gives a text or a table, `result.plot()`
a matplotlib figure, which a notebook also shows when the result of a picture stands at the end of a cell.
"""

import importlib

# name: the submodule that has it. Nothing is imported before it is asked for.
_SUBMODULES = {
    "AnomalyError": "anomaly",
    "Graph": "graph_picture",
    "NonFinite": "anomaly",
    "StepView": "stepper",
    "Stepper": "stepper",
    "detect_anomaly": "anomaly",
    "find_nan": "anomaly",
    "graph": "graph_picture",
    "Element": "number",
    "element": "number",
    "Ledger": "memory",
    "ledger": "memory",
    "GradientFlow": "flow",
    "gradient_flow": "flow",
    "Highway": "laboratory",
    "highway": "laboratory",
    "Filters": "views",
    "filters": "views",
    "FeatureMaps": "views",
    "feature_maps": "views",
    "Saliency": "attribution",
    "saliency": "attribution",
    "GradCam": "attribution",
    "grad_cam": "attribution",
    "Confusion": "tally",
    "confusion": "tally",
    "FeatureReuse": "reuse",
    "feature_reuse": "reuse",
}
__all__ = sorted(_SUBMODULES)


def __getattr__(name):
    if name not in _SUBMODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f".{_SUBMODULES[name]}", __name__), name)


def __dir__():
    return __all__
