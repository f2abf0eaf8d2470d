"""Calls of every kernel, and the wrong, doubtful and unusual forms that one of its arrays can take."""

import numpy as np

import minigrad as mg

CANARY = 77.0
X = (2, 4, 5, 6)
PAIRS = (1, 1), (1, 1), (1, 1)
V = [(6,)] * 4
CALLS = {  # kernel: shapes of its arrays (lists of them, None), then its settings
    "relu_forward": ([X], ()),
    "relu_backward": ([X, X], ()),
    "add_relu_forward": ([X, X], ()),
    "conv2d_forward": ([X, (3, 3, 3, 6), (3,)], (*PAIRS, 1)),
    "conv2d_backward_input": ([(2, 4, 5, 3), (3, 3, 3, 6)], (X, *PAIRS, 1)),
    "conv2d_backward_weight": ([(2, 4, 5, 3), X], ((3, 3, 3, 6), *PAIRS, 1)),
    "norm_relu_conv_forward": ([X, *V], (1e-5,), [(3, 3, 3, 6)]),
    "norm_relu_conv_backward": ([(2, 4, 5, 3), None, X, *V], (1e-5,), [(3, 3, 3, 6)]),
    "dropout_forward": ([X], (0.5, 3)),
    "concat_forward": ([[X, X]], ()),
    "linear_forward": ([(7, 6), (3, 6), (3,)], ()),
    "linear_backward_input": ([(7, 3), (3, 6)], ()),
    "linear_backward_weight": ([(7, 3), (7, 6)], ()),
    "cross_entropy_forward": ([(7, 6), (7, 6)], ()),
    "cross_entropy_backward": ([(7,), (7, 6), (7, 6)], ()),
    "batch_norm_forward": ([X, (6,), (6,)], (1e-5,)),
    "batch_norm_apply": ([X, *V], (1e-5,)),
    "batch_norm_backward": ([X, X, *V], (1e-5,)),
    "batch_norm_apply_backward": ([X, X, *V], (1e-5,)),
    "channel_sum": ([X], ()),
    "channel_mean_var": ([X], ()),
    "through_moments": ([X, X, (6,), (6,), (6,)], ()),
    "moments_line": ([(6,), (6,), (6,), (6,)], (1e-5, 20.0), [(6,), (6,)]),
    "move_statistics": ([(6,), (6,), (6,), (6,)], (0.1, 20.0)),
    "local_response_norm_forward": ([X], (3, 0.3, 0.75, 1.0)),
    "local_response_norm_backward": ([X, X, X], (3, 0.3, 0.75)),
    "max_pool2d_forward": ([X], ((2, 2), (2, 2), (0, 0), (1, 1), False)),
    "avg_pool2d_forward": ([X], ((2, 2), (2, 2), (0, 0), False, True)),
    "avg_pool2d_backward": ([(2, 2, 2, 6)], (X, (2, 2), (2, 2), (0, 0), True)),
    "adaptive_avg_pool2d_forward": ([X], ((2, 2),)),
    "adaptive_avg_pool2d_backward": ([(2, 2, 2, 6)], (X,)),
    "sgd_step": ([[X, (6,)], [X, (6,)], [X, (6,)]], (0.1, 0.9, 0.0, 0.01, False)),
    "adam_step": ([[X, (6,)]] * 4, (1, 0.1, 0.9, 0.99, 1e-8, 0.01, False)),
    "cast_all": ([[X, (6,)]], (np.dtype("f4"),)),
    "copy_all": ([[X, (6,)], [X, (6,)]], ()),
    "scale_all": ([[X, (6,)]], (0.5,)),
    "squared_norm": ([[X, (6,)]], ()),
}
WITHOUT = {"max_pool2d_backward"}  # its winners come from the forward pass: a test of their own below


def guarded(array):
    """(the same numbers, the buffer around them): canaries before and after."""
    buffer = np.full(array.size + 64, CANARY, array.dtype)
    inner = buffer[32 : 32 + array.size].reshape(array.shape)
    inner[...] = array
    return inner, buffer


def intact(buffer):
    return (buffer[:32] == CANARY).all() and (buffer[-32:] == CANARY).all()


def drawn(shapes, rng, buffers, dtype=np.float32):
    """Arrays of these shapes (positive numbers: variances are among them), their buffers noted."""
    if shapes is None:
        return None
    if isinstance(shapes, list):
        return [drawn(s, rng, buffers, dtype) for s in shapes]
    inner, buffer = guarded((rng.random(shapes) + 0.5).astype(dtype))
    buffers.append(buffer)
    return inner


def arguments(name, buffers):
    shapes, settings, *more = CALLS[name]
    rng = np.random.default_rng(3)
    return [*drawn(shapes, rng, buffers), *settings, *(a for each in more for a in drawn(each, rng, buffers))]


def places(args):
    """(i, j) of every array among the arguments; j is None unless it is in a list."""
    for i, a in enumerate(args):
        if isinstance(a, np.ndarray):
            yield i, None
        elif isinstance(a, list):
            yield from ((i, j) for j, each in enumerate(a) if isinstance(each, np.ndarray))


def changed(args, place, change):
    """The arguments with one array changed."""
    i, j = place
    args = [list(a) if isinstance(a, list) else a for a in args]
    if j is None:
        args[i] = change(args[i])
    else:
        args[i][j] = change(args[i][j])
    return args


def sliced(a):
    wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), CANARY, a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def misaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)
    view = raw[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


WRONG = {  # never accepted
    **{t: (lambda a, t=t: a.astype(t)) for t in ("float16", "int8", "uint8", "int32", "int64", "bool", "complex64")},
    **{"longdouble": lambda a: a.astype(np.longdouble), "object": lambda a: a.astype(object)},
    **{"swapped bytes": lambda a: a.astype(a.dtype.newbyteorder()), "list": lambda a: a.tolist()},
    **{"a scalar": lambda a: a.flat[0], "a number": lambda a: 1.5, "a tensor": lambda a: mg.tensor(a)},
}
DOUBTFUL = {  # right if it is all there is, else refused
    **{"float64": lambda a: a.astype("float64"), "0-d": lambda a: a.reshape(-1)[0:1].reshape(())},
    **{"one more row": lambda a: np.concatenate([a, a[:1]]), "one axis less": lambda a: a.reshape(-1)},
    **{"fewer channels": lambda a: a[..., :-1].copy(), "empty": lambda a: a[:0]},
}
LAYOUTS = {  # always right, but for what is written
    **{
        "sliced": sliced,
        "reversed": lambda a: a[::-1].copy()[::-1],
        "last reversed": lambda a: a[..., ::-1].copy()[..., ::-1],
    },
    **{"Fortran order": np.asfortranarray, "read-only": read_only, "misaligned": misaligned},
}
