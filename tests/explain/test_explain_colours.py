"""What is written on the pages and in the graph's pictures can be read: contrast of text as WCAG 2.2 asks, 4.5 to 1."""

import itertools
import re
from pathlib import Path

import pytest

from minigrad import explain
from minigrad.explain import graph_figure, graph_svg

CSS = Path(explain.__file__).with_name("static") / "explorer.css"
THEMES = [
    dict(re.findall(r"--(\w+): (#\w{6})", block))
    for block in re.findall(r"\{([^{}]*--paper:[^{}]*)\}", CSS.read_text())
]
TEXTS, GROUNDS = ("ink", "muted", "hot"), ("paper", "box", "warm", "leaf", "code")


def luminance(colour):
    """Of "#rrggbb", relative to white; the formula of WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a, b):
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_of_known_colours():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_all_texts_can_be_read_on_all_grounds_in_light_and_dark():
    assert len(THEMES) == 3 and THEMES[1] == THEMES[2]
    for theme in THEMES:
        low = [(t, g) for t, g in itertools.product(TEXTS, GROUNDS) if contrast(theme[t], theme[g]) < 4.5]
        assert low == []


def test_the_pictures_have_the_colours_of_the_page():
    light, dark = THEMES[:2]
    assert graph_figure.FILL == {"leaf": light["leaf"], "box": light["box"]}
    assert graph_figure.INK == {"muted": light["muted"], "grad": light["hot"]}
    day, night = Path(graph_svg.__file__).read_text().split("@media", 1)
    for theme, text in (light, day), (dark, night):
        for name in "muted", "grad":
            assert f"text.{name}{{fill:{theme['hot' if name == 'grad' else name]}}}" in text
