"""A training run as a film: one page with a slider over its epochs, for a lecture. `film("runs/NAME")` writes it."""

from .film import film as film
