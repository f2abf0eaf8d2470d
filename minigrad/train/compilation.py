"""What a run says and counts of the compilation of kernels, which a new machine does once."""


def seconds():
    return 0.0
