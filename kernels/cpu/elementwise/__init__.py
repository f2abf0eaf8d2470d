"""Functions of each element: written with NumPy's words, run in one pass over memory."""
