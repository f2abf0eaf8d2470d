"""norm - ReLU - convolution as one kernel, for 1x1 filters and for 3x3 ones."""
