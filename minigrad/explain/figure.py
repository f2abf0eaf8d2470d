"""Figures that a script saves and a notebook shows. Matplotlib is imported on first use."""

import dataclasses
import functools
import io

from .arrays import summary


def figure(rows=1, columns=1, *, figsize=None, **settings):
    """(figure, axes) as of pyplot.subplots, whatever backend the user has chosen; nothing global is touched."""
    fig = _kind_of_figure()(layout="constrained", figsize=figsize)
    return fig, fig.subplots(rows, columns, **settings)


@functools.cache
def _kind_of_figure():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A Figure that a notebook shows also where pyplot was never imported."""

        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            FigureCanvasAgg(self)

        def _repr_png_(self):
            return png(self)

    return Picture


NEGATIVE, ZERO, POSITIVE = "#145abe", "#f5f5f5", "#d6500a"  # of signed numbers: the pages' panel.js has the same


@functools.cache
def signed_colours():
    """The colour map of signed numbers in every picture: blue below 0, orange above."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("minigrad", [NEGATIVE, ZERO, POSITIVE])


def plain(text):
    """A name as matplotlib shows it letter by letter: no formula between two $, and ? for what is no character."""
    return str(text).encode("utf-8", "replace").decode().replace("$", r"\$")


def png(fig):
    """The bytes of a PNG file of a figure."""
    return drawn(fig, "png")


def drawn(fig, kind):
    """The bytes of a file of a figure, of a kind that matplotlib knows ("png", "pdf")."""
    file = io.BytesIO()
    fig.savefig(file, format=kind, dpi=fig.dpi)
    return file.getvalue()


class Plotted:
    """A result whose picture, plot(), is what a notebook shows of it."""

    def __repr__(self):
        return summary(self, [field.name for field in dataclasses.fields(self)])

    def plot(self):
        """The picture, a matplotlib Figure."""
        raise NotImplementedError(f"{type(self).__name__} defines no plot")

    def _repr_png_(self):
        return png(self.plot())
