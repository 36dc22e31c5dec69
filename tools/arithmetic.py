"""The arithmetics in which this processor can run the notebooks.

OpenBLAS and numpy choose their code by the processor, and another choice rounds otherwise. Both
can be made to compute as an older processor would: OpenBLAS with the kernels that
OPENBLAS_CORETYPE names, numpy without the instructions that NPY_DISABLE_CPU_FEATURES lists.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

__all__ = ["ARITHMETICS", "OTHER", "Arithmetic", "stored_arithmetic"]

core = importlib.import_module("numpy._core._multiarray_umath")
# What the build of numpy can use beyond its baseline, and the processor has.
USED = [name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name)]


@dataclass(frozen=True)
class Arithmetic:
    """One way to compute: a kernel of OpenBLAS, what numpy may use, what the processor must have.

    ``kernel`` is empty for the one that OpenBLAS chooses, ``numpy`` is None for all instructions.
    """

    name: str
    kernel: str = ""
    numpy: tuple[str, ...] | None = None
    needs: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """Return the instructions that the processor would need and does not have."""
        return [name for name in self.needs if not core.__cpu_features__.get(name)]

    def environment(self) -> dict[str, str]:
        """Return the variables that choose it; names that numpy does not know would be an error."""
        chosen = {"OPENBLAS_CORETYPE": self.kernel} if self.kernel else {}
        if self.numpy is not None and (cut := [name for name in USED if name not in self.numpy]):
            chosen["NPY_DISABLE_CPU_FEATURES"] = " ".join(cut)
        return chosen


ARITHMETICS = (
    Arithmetic("native"),
    Arithmetic("SkylakeX", kernel="SkylakeX", needs=("AVX512F", "AVX512BW", "AVX512VL")),
    Arithmetic("Haswell", kernel="Haswell", needs=("AVX2", "FMA3")),
    Arithmetic("Nehalem", kernel="Nehalem", needs=("SSE42",)),
    Arithmetic("numpy without AVX", numpy=(), needs=("SSE42",)),
    # The oldest that both have; the second run of `make test`.
    Arithmetic("Nehalem, numpy without AVX", kernel="Nehalem", numpy=(), needs=("SSE42",)),
    Arithmetic("ARMv8", kernel="ARMV8", numpy=(), needs=("ASIMD",)),
)
OTHER = ("Nehalem, numpy without AVX", "ARMv8")
STORED = Arithmetic("AVX2", kernel="Haswell", numpy=("X86_V3",), needs=("AVX2", "FMA3", "X86_V3"))


def stored_arithmetic() -> dict[str, str]:
    """Return the variables for the arithmetic of the stored outputs: AVX2 where there is AVX2."""
    return {} if STORED.missing() else STORED.environment()
