"""What Sphinx is told. Runs in the folder that book.build has gathered the pages in."""

import minigrad
from book import docstrings, formulas

project, author, release = "minigrad", "minigrad's authors", minigrad.__version__
copyright = "minigrad's authors, MIT licence"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["extra"]
html_theme, html_title = "furo", "minigrad"
html_extra_path, html_static_path, html_css_files = ["extra"], ["_static"], ["book.css"]
html_show_sphinx, html_copy_source = False, True
html_math_renderer = "mathml"
templates_path = []

nb_execution_mode = "off"  # the notebooks hold their outputs: a test executes them
nb_ipywidgets_js = {}  # nothing is loaded from the network
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]
autodoc_member_order, autodoc_typehints = "bysource", "none"
add_module_names = False
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 100


def as_text(app, what, name, obj, options, lines):
    lines[:] = docstrings.convert(lines)


def without_context(app, what, name, obj, options, signature, returns):
    """An op's first parameter is filled in by @op."""
    if signature and signature.startswith("(ctx"):
        signature = "(" + signature[4:].removeprefix(",").lstrip()
    return signature, returns


def setup(app):
    app.add_html_math_renderer("mathml", (formulas.inline, None), (formulas.block, None))
    app.connect("autodoc-process-docstring", as_text)
    app.connect("autodoc-process-signature", without_context)
    return dict(parallel_read_safe=True, parallel_write_safe=True)
