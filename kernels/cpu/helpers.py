"""How a function is compiled that only kernels call: to LLVM's language, and no further.

By itself Numba would optimise each such function and translate it to machine code, with everything that it calls,
though nobody ever runs that code: a kernel gets a copy of the function's LLVM code, and is optimised as a whole.
"""

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler


class HelperLibrary(JITCodeLibrary):
    """LLVM code for others to link."""

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name):
        """There is no machine code."""
        return 0

    @property
    def codegen(self):
        """Whom Numba asks to set_env."""
        return self

    def set_env(self, name, env):
        """There is no place for it."""


class HelperCompiler(Compiler):
    """Numba's own, but for the library that takes the code."""

    def define_pipelines(self):
        state = self.state
        state.library = HelperLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        return super().define_pipelines()
