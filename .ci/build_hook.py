"""Run by hatchling whenever minigrad is built, so also by `pip install -e .`: the one moment at which pip asks us."""

import pathlib
import sysconfig

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def stranger(site_packages):
    """The file of another distribution's package `kernels` in that folder, or None."""
    init = pathlib.Path(site_packages, "kernels", "__init__.py")
    return init if init.is_file() and "OWNER" not in init.read_text("utf-8", "replace") else None


class NoOtherKernels(BuildHookInterface):
    """Refuse to install over another distribution's package of the same name, or beside it, where it would win."""

    def initialize(self, version, build_data):
        found = stranger(sysconfig.get_path("purelib"))
        if found:
            raise RuntimeError(
                f"minigrad has a package 'kernels', and so has another distribution here ({found}); install minigrad "
                "into a virtual environment of its own, or: pip uninstall kernels"
            )
