"""Drawings of how nets are built: what they show, read from the figures."""

import io

import numpy as np
from PIL import Image

from minigrad.explain import drawings


def texts(fig):
    return [t.get_text() for ax in fig.axes for t in ax.texts if t.get_text()]


def test_the_inception_module_adds_up_its_branches():
    found = texts(drawings.inception_module(192, (64, 96, 128, 16, 32, 32)))
    assert "192 channels" in found and "concat: 256 channels" in found and "5x5 conv, 32" in found


def test_residual_blocks_have_two_and_three_convolutions():
    for bottleneck, count in ((False, 2), (True, 3)):
        found = texts(drawings.residual_block(256, bottleneck))
        assert sum("conv" in text for text in found) == count and "F(x) + x" in found


def test_a_dense_layer_reads_all_before_it():
    ax = drawings.dense_block(3, 6, 4).axes[0]
    ends = sorted(round(bar.get_x() + bar.get_width()) for bar in ax.patches)
    assert ends == [6, 6, 6, 10, 10, 10, 14, 14, 18] and len(ends) == 2 + 3 + 4


def test_towers_exchange_where_the_paper_does():
    fig = drawings.towers()
    assert len([t for t in texts(fig) if "conv" in t]) == 10
    arrows = [t for t in fig.axes[0].texts if not t.get_text()]
    assert (
        len(arrows) == 24
    )  # 2 from the image, 2 within towers to conv2, conv4 and conv5 each, 4 to the four that exchange


def test_the_sliding_filter_computes_what_it_shows():
    x, w = np.arange(16.0).reshape(4, 4), [[1, 0], [0, -1]]
    film = drawings.sliding_filter(x, w, stride=2)
    shown = [fig.get_supxlabel() for fig in film.frames]
    assert [float(text.split("= ")[-1]) for text in shown] == [-5, -5, -5, -5]
    picture = Image.open(io.BytesIO(film._repr_png_()))
    assert (picture.format, picture.n_frames) == ("PNG", 4)
