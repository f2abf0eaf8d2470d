"""TeX as MathML at build time: browsers draw it by themselves, so that no page loads a script for it."""

import re

from docutils import nodes

ESCAPED = re.compile(r"\\operatorname\{(\w+)\}")


def mathml(tex, display):
    from latex2mathml.converter import convert

    return convert(ESCAPED.sub(r"\\mathrm{\1}", tex.strip()), display=display)


def inline(translator, node):
    """Sphinx's visitor of a formula in a line."""
    translator.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def block(translator, node):
    """Sphinx's visitor of a formula on lines of its own."""
    translator.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode
