"""Places and process settings that the tools share."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["BOOK", "BUILD", "HTML", "ROOT", "environment", "find_notebooks", "shown"]

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
BUILD = ROOT / "_build"
HTML = BUILD / "html"


def environment() -> dict[str, str]:
    """Return the variables under which notebooks give the same bytes on every run."""
    return {
        # Sums of floats depend on how many threads share them.
        "MKL_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "VECLIB_MAXIMUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        # No profile, style file or kernel of the user reaches the notebooks.
        "IPYTHONDIR": str(ROOT / ".venv" / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "MPLCONFIGDIR": str(ROOT / ".venv" / "matplotlib"),
        # The debugger's note about frozen modules is not an output of the book.
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


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
