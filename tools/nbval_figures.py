"""A pytest plugin that closes two holes of nbval, and measures what each notebook needs.

nbval accepts a cell whose stored outputs were removed, and it never looks at PNG images. In every
nbval run this plugin compares the kinds of outputs and the images of each cell. After the last cell
of a notebook it holds the kernel to the limits of time and memory, and the run ends with a table of
what the notebooks needed and the arithmetic in which they computed.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np
import pytest
from nbval.plugin import IPyNbCell
from PIL import Image

from tools.notebooks import USAGE, Usage, figures, kept_path, over_limits, read_usage
from tools.settings import ARITHMETIC, shown

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
    if stored == fresh:
        return 0.0
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


def output_problems(
    stored: Sequence[Any], fresh: Sequence[Any], keep: Callable[[int], Path]
) -> list[str]:
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
            picture = keep(k)
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
    """Compare the figures of a notebook's cell after nbval ran it; after the last, take stock."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    notebook = Path(item.path)
    last = item.cell_num + 1 == sum(cell.cell_type == "code" for cell in item.parent.nb.cells)
    over: list[str] = []
    try:
        result = yield
    finally:
        if last and (usage := measure(item.parent.kernel)):
            item.user_properties.append(("notebook", [shown(notebook), asdict(usage)]))
            # Other kernels than the processor's own are slower, which says nothing of the notebook.
            if not any(name in os.environ for name in ARITHMETIC):
                over = over_limits(usage)
    if over:
        item.raise_cell_error("The notebook needs too much", "\n".join(over))
    problems = output_problems(
        item.cell.outputs, item.test_outputs, partial(kept_path, notebook, item.cell_num + 1)
    )
    if problems:
        problems.append(f"If this is meant: make notebooks NB={shown(notebook)}, then look at it.")
        item.raise_cell_error("Cell outputs differ", "\n".join(problems))
    return result


def measure(kernel: Any) -> Usage | None:
    """Ask a kernel what it needed so far; None if it died or does not answer."""
    if not kernel.is_alive():
        return None
    try:
        return read_usage(printed(kernel, USAGE))
    except Empty:
        return None


def printed(kernel: Any, source: str) -> str:
    """Run code in a kernel and return what it prints."""
    request = kernel.execute_cell_input(source, allow_stdin=False)
    text = ""
    while True:
        message = kernel.get_message("iopub", timeout=30)
        if message["parent_header"].get("msg_id") != request:
            continue
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            text += message["content"]["text"]
        elif message["msg_type"] == "error":
            raise RuntimeError("\n".join(message["content"]["traceback"]))
        elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            break
    kernel.await_reply(request, timeout=30)
    return text


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what each notebook needed, the slowest last."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    needed = {
        name: Usage(**usage)
        for report in reports
        for key, value in getattr(report, "user_properties", [])
        if key == "notebook"
        for name, usage in [value]
    }
    if not needed:
        return
    terminalreporter.section("processor time and memory of the notebooks")
    width = max(len(name) for name in needed)
    for name, usage in sorted(needed.items(), key=lambda pair: pair[1].seconds):
        terminalreporter.line(f"{name:{width}}  {usage.seconds:5.1f} s  {usage.megabytes:5.0f} MB")
    seconds = sum(usage.seconds for usage in needed.values())
    terminalreporter.line(f"{'total':{width}}  {seconds:5.1f} s")
    for arithmetic in sorted({usage.arithmetic for usage in needed.values()} - {""}):
        terminalreporter.line(f"arithmetic: {arithmetic}")
