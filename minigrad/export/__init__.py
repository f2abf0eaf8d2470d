"""Nets as files for others: `python -m minigrad.export RUN --to onnx|safetensors|torch`, and `export` from Python."""

from .write import FORMATS as FORMATS
from .write import export as export
