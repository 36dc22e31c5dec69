"""Run the notebooks of the book so that every run gives the same bytes.

``store`` runs notebooks and writes their outputs into them. ``check`` runs them in fresh kernels,
compares their figures byte by byte with those of the nbval run, and holds them to their limits of
time and memory.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from tools.settings import BOOK, BUILD, ROOT, environment, find_notebooks, shown

__all__ = [
    "COVER",
    "LANDING",
    "Run",
    "all_figures",
    "compare_figures",
    "figures",
    "normalised",
    "over_limits",
    "read",
    "record_path",
    "to_text",
]

# The first figure of the landing page is the picture in the README.
LANDING, COVER = BOOK / "index.ipynb", BOOK / "_static" / "cover.png"

SECONDS = 60.0
MEGABYTES = 2000.0
CELL_TIMEOUT = 300

CELL_METADATA = {"mystnb", "tags"}
NOTEBOOK_METADATA = {"mystnb"}

# Runs in the kernel after the last cell and prints the peak of its memory in bytes. On Linux,
# ru_maxrss would count the memory of the process that started the kernel.
PEAK = """
try:
    with open("/proc/self/status") as _status:
        print(next(int(_line.split()[1]) * 1024 for _line in _status if "VmHWM" in _line))
except OSError:
    import resource as _resource
    print(_resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss)  # bytes on macOS
"""


def read(path: Path) -> NotebookNode:
    """Read a notebook; a cell without an id gets one that depends on its source only."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    taken = {cell["id"] for cell in raw["cells"] if "id" in cell}
    for cell in raw["cells"]:
        if "id" not in cell:
            source = "".join(cell["source"])
            salt = 0
            while (new := hashlib.sha1(f"{salt}{source}".encode()).hexdigest()[:8]) in taken:
                salt += 1
            cell["id"] = new
            taken.add(new)
    raw["nbformat"], raw["nbformat_minor"] = 4, 5
    nb: NotebookNode = nbformat.reads(json.dumps(raw), as_version=4)
    return nb


def normalised(nb: NotebookNode) -> NotebookNode:
    """Return a copy that holds no trace of the machine, the editor or the time of a run."""
    nb = nbformat.from_dict(nb)
    kept = {key: value for key, value in nb.metadata.items() if key in NOTEBOOK_METADATA}
    nb.metadata = nbformat.from_dict(
        kept
        | {
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        }
    )
    nb.nbformat, nb.nbformat_minor = 4, 5
    for cell in nb.cells:
        cell.metadata = nbformat.from_dict(
            {key: value for key, value in cell.metadata.items() if key in CELL_METADATA and value}
        )
    return nb


def to_text(nb: NotebookNode) -> str:
    """Return the text of a notebook's file."""
    return str(nbformat.writes(nb)).rstrip("\n") + "\n"


def figures(outputs: Sequence[Any]) -> list[bytes]:
    """Return the PNG images among the outputs of a cell."""
    return [
        base64.b64decode(output["data"]["image/png"])
        for output in outputs
        if "image/png" in output.get("data", {})
    ]


def all_figures(nb: NotebookNode) -> list[bytes]:
    """Return the PNG images of a notebook, in its order."""
    return [png for cell in nb.cells for png in figures(cell.get("outputs", []))]


def digests(outputs: Sequence[Any]) -> list[str]:
    """Return the SHA-256 of each PNG image among the outputs of a cell."""
    return [hashlib.sha256(png).hexdigest() for png in figures(outputs)]


def record_path(notebook: Path) -> Path:
    """Return where the nbval run records the figures that it computed for a notebook."""
    notebook = notebook.resolve()
    where = notebook.relative_to(ROOT) if notebook.is_relative_to(ROOT) else Path(notebook.name)
    return BUILD / "figures" / where.with_suffix(".json")


def compare_figures(path: Path, nb: NotebookNode, record: Path) -> list[str]:
    """Return what differs between the figures of a run and those that the nbval run recorded."""
    stage = "run the nbval stage first (make test ONLY=notebooks,figures)"
    if not record.exists():
        return [f"no figures recorded by the nbval run: {stage}"]
    recorded = json.loads(record.read_text(encoding="utf-8"))
    if recorded["notebook"] != hashlib.sha256(path.read_bytes()).hexdigest():
        return [f"the notebook changed since the nbval run recorded its figures: {stage}"]
    problems = []
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code):
        here, there = digests(cell.outputs), recorded["figures"].get(str(number), [])
        if len(here) != len(there):
            problems.append(
                f"code cell {number + 1}: {len(here)} figures here, {len(there)} in the nbval run"
            )
        problems += [
            f"code cell {number + 1}: figure {k} is not byte-identical in two runs of the same "
            f"code (a draw without a seed, a time, an order of a set, or the library changed "
            f"since the nbval stage)"
            for k, (a, b) in enumerate(zip(here, there, strict=False), 1)
            if a != b
        ]
    return problems


@dataclass
class Run:
    """One execution of a notebook in a kernel of its own."""

    path: Path
    nb: NotebookNode
    seconds: float = 0.0
    megabytes: float = 0.0
    error: str = ""


def over_limits(run: Run) -> list[str]:
    """Return a message if the run needed more time or memory than a notebook may."""
    if run.seconds <= SECONDS and run.megabytes <= MEGABYTES:
        return []
    return [
        f"took {run.seconds:.0f} s and {run.megabytes:.0f} MB; "
        f"a notebook may take {SECONDS:.0f} s and {MEGABYTES:.0f} MB"
    ]


async def execute(path: Path) -> Run:
    """Run all cells of a notebook in its own folder and measure time and peak memory."""
    run = Run(path, read(path))
    client = NotebookClient(
        run.nb,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(path.resolve().parent)}},
    )
    start = time.monotonic()
    try:
        async with client.async_setup_kernel():
            for index, cell in enumerate(run.nb.cells):
                await client.async_execute_cell(
                    cell, index, execution_count=client.code_cells_executed + 1
                )
            run.seconds = time.monotonic() - start
            run.nb.cells.append(nbformat.v4.new_code_cell(PEAK))
            await client.async_execute_cell(run.nb.cells[-1], len(run.nb.cells) - 1)
            run.megabytes = int(run.nb.cells.pop().outputs[0]["text"]) / 1e6
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        run.seconds = time.monotonic() - start
        run.error = str(error).strip()
    run.nb = normalised(run.nb)
    return run


def store(run: Run, before: bytes) -> tuple[str, list[str]]:
    """Write a run into its notebook, all or nothing; return what was done and any problems."""
    after = to_text(run.nb).encode()
    if after == before:
        return "unchanged", []
    if run.path.read_bytes() != before:
        return "not stored", ["the file changed while it ran"]
    draft = run.path.with_name(f".{run.path.name}.new")
    draft.write_bytes(after)
    os.replace(draft, run.path)
    if run.path.resolve() == LANDING:
        COVER.write_bytes(all_figures(run.nb)[0])
    return "stored", []


async def run_all(mode: str, paths: Sequence[Path], jobs: int) -> int:
    """Run notebooks, ``jobs`` at a time, print one line for each, return how many failed."""
    slots = asyncio.Semaphore(jobs)
    width = max(len(shown(path)) for path in paths)

    async def one(path: Path) -> bool:
        async with slots:
            before = path.read_bytes()
            run = await execute(path)
        count = len(all_figures(run.nb))
        if run.error:
            done, problems = "failed", [run.error]
        elif mode == "store":
            done, problems = store(run, before)
            problems += over_limits(run)
        else:
            problems = compare_figures(path, run.nb, record_path(path)) + over_limits(run)
            done = "failed" if problems else "same figures"
        print(
            f"{shown(path):{width}}  {run.seconds:5.1f} s  {run.megabytes:5.0f} MB  "
            f"{count:2d} figures  {done}",
            *(f"  {problem}" for problem in problems),
            sep="\n",
            flush=True,
        )
        return bool(problems)

    failed = sum(await asyncio.gather(*map(one, paths)))
    print(f"{len(paths) - failed} of {len(paths)} notebooks without a problem")
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="tools.notebooks", description=__doc__)
    parser.add_argument("mode", choices=["store", "check"])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all below book/")
    parser.add_argument("--jobs", type=int, default=2, help="kernels at a time (2)")
    options = parser.parse_args(arguments)
    paths = options.notebooks or find_notebooks()
    missing = [path for path in paths if not path.is_file()]
    if missing or not paths:
        print("no notebook", *missing or ["below book/"], file=sys.stderr)
        return 2
    os.environ.update(environment())
    return 1 if asyncio.run(run_all(options.mode, paths, options.jobs)) else 0


if __name__ == "__main__":
    sys.exit(main())
