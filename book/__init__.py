"""The book: `make book` builds it as a site that needs no network (pip install -e ".[book]" first).

build        python -m book.build FOLDER: gathers the pages, then runs Sphinx
pages        the text pages, and the notebooks as they are stored
api          a page for each module that users import, with every public name
gallery      steppers and graphs of the five nets, as pages of their own
conf         what Sphinx is told
docstrings   our docstrings as reStructuredText
formulas     TeX as MathML, which browsers draw by themselves
back_links   from a source page back to the entry
links        what of a built site leads nowhere, or to the network
"""
