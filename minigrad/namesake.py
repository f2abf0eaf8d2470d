"""Two distributions install a top-level package `kernels`, minigrad and one of Hugging Face: looked at on import."""

import importlib.util
import pathlib
import warnings

ADVICE = "give each a virtual environment of its own"


def look():
    """Make sure that the package `kernels` that Python finds is minigrad's, without running another's code.

    ImportError if it is another's. RuntimeWarning if another's was installed into the same folder before: pip then
    wrote minigrad's files over it without a word.
    """
    spec = importlib.util.find_spec("kernels")
    if spec is None or spec.origin is None or "OWNER" not in pathlib.Path(spec.origin).read_text("utf-8", "replace"):
        found = "nowhere" if spec is None else f"at {spec.origin or next(iter(spec.submodule_search_locations))}"
        raise ImportError(
            f"minigrad's package 'kernels' is not there; one of that name is {found}, of another distribution "
            f"(Hugging Face has one); {ADVICE}, or: pip uninstall kernels, then install minigrad again"
        )
    folder = pathlib.Path(spec.origin).parent.parent
    if any(folder.glob("kernels-*.dist-info")):
        message = f"minigrad and another distribution both own the package 'kernels' in {folder}; {ADVICE}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)


look()
