"""A pytest plugin that closes two holes of nbval: missing outputs and changed figures.

nbval accepts a cell whose stored outputs were removed, and it never looks at PNG images. In every
nbval run this plugin compares the kinds of outputs and the images of each cell, and records the
SHA-256 of the images that it computed, for ``tools.notebooks check`` to compare with.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nbval.plugin import IPyNbCell
from PIL import Image

from tools.notebooks import digests, figures, record_path
from tools.settings import shown

__all__ = ["image_distance", "kinds", "output_problems"]

# Root mean square over pixels and channels, of 255. A curve that is 1 % off gives about 3; other
# processors move anti-aliased pixels by much less than 1.
TOLERANCE = 2.0


def kinds(outputs: Sequence[Any]) -> list[str]:
    """Return what each output is: its stream or its mime types; each stream counts once."""
    found: list[str] = []
    for output in outputs:
        kind = output["output_type"]
        if kind == "stream":
            kind = f"stream {output['name']}"
            if kind in found:
                continue
        elif "data" in output:
            kind = f"{kind} {', '.join(sorted(output['data']))}"
        found.append(kind)
    return found


def image_distance(stored: bytes, fresh: bytes) -> float:
    """Return the RMS difference of two PNG images, infinite if their sizes differ.

    Both are laid on white and on black, so that a change shows whatever the page's colour is.
    """
    one, two = (Image.open(io.BytesIO(png)).convert("RGBA") for png in (stored, fresh))
    if one.size != two.size:
        return float("inf")
    distance = 0.0
    for colour in ("white", "black"):
        page = Image.new("RGBA", one.size, colour)
        a, b = (
            np.asarray(Image.alpha_composite(page, image).convert("RGB"), dtype=float)
            for image in (one, two)
        )
        distance = max(distance, float(np.sqrt(np.mean((a - b) ** 2))))
    return distance


def output_problems(stored: Sequence[Any], fresh: Sequence[Any], keep: Path) -> list[str]:
    """Return how stored and fresh outputs differ; a differing fresh image is kept to look at."""
    if kinds(stored) != kinds(fresh):
        return [
            "the cell gives other outputs than those stored:",
            f"  stored: {kinds(stored) or 'none'}",
            f"  now:    {kinds(fresh) or 'none'}",
        ]
    problems = []
    for k, (old, new) in enumerate(zip(figures(stored), figures(fresh), strict=True), 1):
        distance = image_distance(old, new)
        if distance > TOLERANCE:
            picture = keep.with_name(f"{keep.name}-{k}.png")
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_bytes(new)
            how = "its size" if np.isinf(distance) else f"RMS {distance:.1f} of 255"
            problems.append(
                f"figure {k} differs from the stored one by {how} (allowed {TOLERANCE:g}); "
                f"the new one is {shown(picture)}"
            )
    return problems


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Compare and record the figures of a notebook's cell after nbval ran it."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    try:
        result = yield
    finally:
        record(item)
    notebook = Path(item.path)
    keep = record_path(notebook).with_name(f"{notebook.stem}-cell-{item.cell_num + 1}")
    problems = output_problems(item.cell.outputs, item.test_outputs, keep)
    if problems:
        problems.append(f"If this is meant: make notebooks NB={shown(notebook)}, then look at it.")
        item.raise_cell_error("Cell outputs differ", "\n".join(problems))
    return result


def record(item: Any) -> None:
    """Write down the figures that a notebook gave so far in this run."""
    notebook = Path(item.path)
    found = item.parent.__dict__.setdefault("reluspec_figures", {})
    if pngs := digests(item.test_outputs or []):
        found[str(item.cell_num)] = pngs
    path = record_path(notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"notebook": hashlib.sha256(notebook.read_bytes()).hexdigest(), "figures": found}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
