"""Places and process settings that the tools share."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = [
    "ARITHMETIC",
    "BOOK",
    "BUILD",
    "HTML",
    "ROOT",
    "STARTED",
    "adopt",
    "environment",
    "find_notebooks",
    "shown",
    "start_anew",
]

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
BUILD = ROOT / "_build"
HTML = BUILD / "html"

# These two choose how OpenBLAS and numpy compute: kernels for another processor, fewer of its
# instructions. tools/portability.py sets them; nothing else may.
ARITHMETIC = ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES")

# Holds the steps of start_anew that were taken.
STARTED = "RELUSPEC_STARTED"

# By variables with these beginnings a shell reaches Python, Jupyter, matplotlib, sympy or the
# arithmetic: a backend, a start-up file, a style, another search path, a number of threads.
DROPPED = (
    *("BLIS_", "GOTO_", "KMP_", "MKL_", "NPY_", "NUMEXPR_", "NUMPY_", "OMP_", "OPENBLAS_"),
    *("IPYTHON", "JUPYTER", "MATPLOTLIB", "MPL", "PYDEVD_", "PYTHON"),
    *("MPMATH_", "SCIPY_", "SKLEARN_", "SYMPY_", "VECLIB_"),
)


def pinned() -> dict[str, str]:
    """Return the variables under which notebooks give the same bytes on every run."""
    return {
        # Sums of floats depend on how many threads share them.
        "MKL_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "VECLIB_MAXIMUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        # No package, profile, style file or kernel of the user reaches the notebooks.
        "PYTHONNOUSERSITE": "1",
        # Its profile holds one setting: figures with twice the pixels, at the size they had.
        "IPYTHONDIR": str(ROOT / "tools" / "ipython"),
        "JUPYTER_CONFIG_DIR": str(ROOT / ".venv" / "jupyter"),
        "JUPYTER_DATA_DIR": str(ROOT / ".venv" / "jupyter"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "MPLCONFIGDIR": str(ROOT / ".venv" / "matplotlib"),
        # The debugger's note about frozen modules is not an output of the book.
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def environment(
    base: Mapping[str, str] | None = None, *, keep: tuple[str, ...] = ()
) -> dict[str, str]:
    """Return an environment, this process's by default, in which no setting of a user counts.

    What is named in ``keep`` stays as it is.
    """
    base = os.environ if base is None else base
    kept = {
        name: value
        for name, value in base.items()
        if name in keep or not name.upper().startswith(DROPPED)
    }
    return kept | pinned()


def adopt(*, keep: tuple[str, ...] = ()) -> None:
    """Make :func:`environment` that of this process and of those that it starts."""
    wanted = environment(keep=keep)
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)


def start_anew(module: str, step: str, variables: Mapping[str, str] | None = None) -> None:
    """Start this command again in :func:`environment`, with more variables, once for each step.

    OpenBLAS and numpy read the variables when they are loaded, so that the process itself has to
    start again. The name of the step is among them: without it, this would have no end.
    """
    done = os.environ.get(STARTED, "").split()
    if step in done:
        return
    wanted = environment() | dict(variables or {}) | {STARTED: " ".join([*done, step])}
    os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], wanted)


def find_notebooks(folder: Path = BOOK) -> list[Path]:
    """Return the notebooks below a folder, hidden folders and build results left out."""
    return sorted(
        path
        for path in folder.rglob("*.ipynb")
        if not any(
            part.startswith(".") or part == "_build" for part in path.relative_to(folder).parts
        )
    )


def shown(path: Path) -> str:
    """Return a path as a reader types it: relative to the current folder where possible."""
    path = path.resolve()
    cwd = Path(os.getcwd()).resolve()
    return str(path.relative_to(cwd)) if path.is_relative_to(cwd) else str(path)
