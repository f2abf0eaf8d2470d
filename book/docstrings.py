"""Our docstrings, which are plain text to be read in a terminal, as reStructuredText."""

import re

COLUMNS = re.compile(r"\S {2,}\S")
CODE = re.compile(r"`+([^`]+)`+")
SPECIAL = re.compile(r"([\\*_|<>\[\]])")


def convert(lines):
    """Lines of a docstring as lines of reStructuredText: prose as paragraphs, formulas and tables as they stand."""
    result = []
    for block in blocks(lines):
        if is_prose(block):
            result += [prose(line) for line in block]
        else:
            result += ["::", "", *("    " + line for line in block)]
        result.append("")
    return result


def blocks(lines):
    """The pieces between empty lines."""
    block = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []


def is_prose(block):
    """Is it text that may be filled anew? Not what is indented, aligned in columns, or an example."""
    aligned = any(COLUMNS.search(line) for line in block)
    return not (aligned or block[0].startswith((">>>", "|", "- ")) or any(line.startswith(" ") for line in block))


def prose(line):
    """A line whose letters all mean themselves; what stands in `...` is code."""
    pieces = CODE.split(line)
    return "".join(f"``{p}``" if i % 2 else SPECIAL.sub(r"\\\1", p).replace("`", r"\`") for i, p in enumerate(pieces))
