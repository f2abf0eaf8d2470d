"""What a capture on a GPU took down, and the memory that it lives in."""

import weakref


class CudaGraph:
    """What `capture` took down. launch() makes all launches on the memory that the captured arrays had.

    That memory is from a pool of its own, held as long as this is: from the common pool others would get it. It goes
    back to the GPU with close(), or when this is dropped; what arrays still live in does with a later `free_unused`.
    """

    def __init__(self, graph, pool, ended):
        self._graph, self._end = graph, weakref.finalize(self, end, pool, ended)
        self._end.atexit = False

    def launch(self):
        """Make all launches. RuntimeError after close()."""
        if self._graph is None:
            raise RuntimeError("CudaGraph.launch: the graph was closed")
        self._graph.launch()

    def close(self):
        """Give the graph's memory back. Drop the arrays that the captured function returned before."""
        self._graph = None
        self._end()


def end(pool, ended):
    """Free what a graph's pool holds; if arrays still live there, it is one of those that have ended."""
    pool.free_all_blocks()
    if pool.total_bytes():
        ended.append(pool)
