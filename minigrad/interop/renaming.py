"""How a style tells a file by its names, and how it renames them."""

import re


def substituted(rules):
    """rename(name) by regular expressions, each used once, in order."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]

    def rename(name):
        for pattern, replacement in compiled:
            name = pattern.sub(replacement, name)
        return name

    return rename


def has(*fragments, lacks=None):
    """recognises(names): every fragment is part of some name, and `lacks` of none."""

    def recognises(names):
        found = all(any(re.search(f, name) for name in names) for f in fragments)
        return found and not (lacks and any(re.search(lacks, name) for name in names))

    return recognises
