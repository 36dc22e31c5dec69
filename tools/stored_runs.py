"""The form of results that are too long to compute in a notebook and are stored with the book."""

from __future__ import annotations

import json
from importlib import metadata
from typing import Any

import reluspec_lib
from tools.arithmetic import stored_arithmetic
from tools.settings import start_anew

__all__ = ["digits", "in_stored_arithmetic", "origin", "to_text"]


def origin(tool: str, seed: int) -> dict[str, Any]:
    """Return where a result comes from: the command, the versions and the seed."""
    versions = {"reluspec": reluspec_lib.__version__, "numpy": metadata.version("numpy")}
    return {"command": f".venv/bin/python -m {tool}", "versions": versions, "seed": seed}


def in_stored_arithmetic(module: str) -> None:
    """Start this command anew in the arithmetic of the stored outputs, whatever a shell sets."""
    start_anew(module, "clean")  # or numpy would not see what the processor has
    start_anew(module, "stored", stored_arithmetic())


def digits(value: float, count: int) -> float:
    """Return a number rounded to so many significant digits."""
    return float(f"{value:.{count}g}")


def to_text(content: dict[str, Any]) -> str:
    """Return JSON with a line for each entry of a table, to be read and compared line by line."""
    parts = []
    for key, value in content.items():
        table = isinstance(value, list) and all(isinstance(entry, dict) for entry in value)
        text = json.dumps(value)
        if table:
            text = "[\n  " + ",\n  ".join(json.dumps(entry) for entry in value) + "\n ]"
        parts.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"
