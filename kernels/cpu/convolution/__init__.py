"""Convolution: forward, input gradient and weight gradient; by gathering taps, by Winograd, or depthwise."""
