"""Runs too long for a notebook: their results are stored beside it, and read from there."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

import reluspec_lib

__all__ = ["load"]


def load(path: str | PathLike[str]) -> dict[str, Any]:
    """Return the content of a stored run.

    Parameters
    ----------
    path : path-like
        A JSON file, as seen from the folder of the notebook.

    Returns
    -------
    dict
        The object in the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file, as where a notebook was downloaded alone; says where it is to be
        had.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        archive = f"reluspec-{reluspec_lib.__version__}.zip"
        raise FileNotFoundError(
            f"{path} is not beside this notebook: it is in {archive}, which the first page of the "
            "book links to; unpack it and open the notebook there"
        ) from None
    content: dict[str, Any] = json.loads(text)
    return content
