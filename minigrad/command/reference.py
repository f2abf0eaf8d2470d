"""Names of a user's own nets and data sets, `file.py:name`, told from the names that come with minigrad."""


def is_reference(text):
    """Does this name something in a Python file, rather than a net or data set that comes with minigrad?"""
    return ".py:" in text


def short(text):
    """The name alone: net.py:Net -> Net. Other names stay."""
    return text.rpartition(":")[2] if is_reference(text) else text
