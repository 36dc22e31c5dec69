"""Run the notebooks of the book and store their outputs, so that every run gives the same bytes.

Nothing that a user's shell sets reaches them, and on processors with AVX2 they compute in one
arithmetic, so that it does not matter whose machine stores them. ``tools/portability.py`` compares
the stored outputs with those of other arithmetics.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from tools.arithmetic import stored_arithmetic
from tools.settings import BOOK, BUILD, ROOT, adopt, find_notebooks, shown, start_anew

__all__ = [
    "COVER",
    "LANDING",
    "USAGE",
    "Run",
    "Usage",
    "all_figures",
    "figures",
    "kept_path",
    "lost_figures",
    "normalised",
    "over_limits",
    "read",
    "read_usage",
    "to_text",
]

# The first figure of the landing page is the picture in the README.
LANDING, COVER = BOOK / "index.ipynb", BOOK / "_static" / "cover.png"

SECONDS = 60.0
MEGABYTES = 2000.0
CELL_TIMEOUT = 300

CELL_METADATA = {"mystnb", "tags"}
NOTEBOOK_METADATA = {"mystnb"}

# Runs in the kernel after the last cell. On Linux, ru_maxrss would count the memory of the process
# that started the kernel.
USAGE = """
def _usage():
    import json, resource, sys
    import psutil

    ended = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(use.ru_utime + use.ru_stime for use in ended)
    for child in psutil.Process().children(recursive=True):
        seconds += sum(child.cpu_times()[:2])
    try:
        with open("/proc/self/status") as status:
            peak = next(int(line.split()[1]) * 1024 for line in status if "VmHWM" in line)
    except OSError:
        peak = ended[0].ru_maxrss  # bytes on macOS
    parts = []
    if "numpy" in sys.modules:
        import numpy._core._multiarray_umath as core
        import threadpoolctl

        pools = threadpoolctl.threadpool_info()
        blas = {pool["architecture"] for pool in pools if "architecture" in pool}
        parts = [f"OpenBLAS {'/'.join(sorted(blas))}"] if blas else []
        used = [name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name)]
        parts.append(f"numpy {used[-1] if used else '/'.join(core.__cpu_baseline__)}")
    usage = {"seconds": seconds, "megabytes": peak / 1e6, "arithmetic": ", ".join(parts)}
    print(json.dumps(usage))


_usage()
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
            # nbconvert --to script names the script by it.
            "language_info": {"file_extension": ".py", "name": "python"},
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


def kept_path(notebook: Path, cell: int, figure: int) -> Path:
    """Return where a run puts a figure that differs from the stored one, to be looked at."""
    notebook = notebook.resolve()
    where = notebook.relative_to(ROOT) if notebook.is_relative_to(ROOT) else Path(notebook.name)
    return BUILD / "figures" / where.with_name(f"{notebook.stem}-cell-{cell}-{figure}.png")


@dataclass(frozen=True)
class Usage:
    """What a notebook needed, and the arithmetic in which it computed.

    ``seconds`` of processor time of the kernel and its children, whoever else uses the machine;
    ``megabytes`` at the kernel's peak; ``arithmetic`` such as "OpenBLAS Haswell, numpy X86_V3",
    empty where numpy was not used.
    """

    seconds: float = 0.0
    megabytes: float = 0.0
    arithmetic: str = ""


def read_usage(text: str) -> Usage:
    """Return what :data:`USAGE` printed."""
    return Usage(**json.loads(text))


def over_limits(usage: Usage) -> list[str]:
    """Return a message if a run needed more time or memory than a notebook may."""
    if usage.seconds <= SECONDS and usage.megabytes <= MEGABYTES:
        return []
    return [
        f"took {usage.seconds:.0f} s of processor time and {usage.megabytes:.0f} MB; "
        f"a notebook may take {SECONDS:.0f} s and {MEGABYTES:.0f} MB"
    ]


@dataclass
class Run:
    """One execution of a notebook in a kernel of its own."""

    path: Path
    nb: NotebookNode
    usage: Usage = Usage()
    error: str = ""


def lost_figures(nb: NotebookNode) -> list[str]:
    """Return which cells gave no figure although their metadata describe one."""
    return [
        f"code cell {number} gave no figure, but its metadata describe one"
        for number, cell in enumerate(
            (cell for cell in nb.cells if cell.cell_type == "code"), start=1
        )
        if {"figure", "image"} & set(cell.metadata.get("mystnb", {})) and not figures(cell.outputs)
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
    try:
        async with client.async_setup_kernel():
            for index, cell in enumerate(run.nb.cells):
                await client.async_execute_cell(
                    cell, index, execution_count=client.code_cells_executed + 1
                )
            run.nb.cells.append(nbformat.v4.new_code_cell(USAGE))
            await client.async_execute_cell(run.nb.cells[-1], len(run.nb.cells) - 1)
            run.usage = read_usage(run.nb.cells.pop().outputs[0]["text"])
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        run.error = str(error).strip()
    run.nb = normalised(run.nb)
    return run


def store(run: Run, before: bytes) -> tuple[str, list[str]]:
    """Write a run into its notebook, all or nothing; return what was done and any problems."""
    if lost := lost_figures(run.nb):
        return "not stored", lost
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


async def run_all(paths: Sequence[Path], jobs: int) -> int:
    """Run and store notebooks, ``jobs`` at a time, and return how many failed."""
    slots = asyncio.Semaphore(jobs)
    width = max(len(shown(path)) for path in paths)
    arithmetics = set()

    async def one(path: Path) -> bool:
        async with slots:
            before = path.read_bytes()
            run = await execute(path)
        if run.error:
            done, problems = "failed", [run.error]
        else:
            done, problems = store(run, before)
            problems += over_limits(run.usage)
        arithmetics.update({run.usage.arithmetic} - {""})
        print(
            f"{shown(path):{width}}  {run.usage.seconds:5.1f} s  {run.usage.megabytes:5.0f} MB  "
            f"{len(all_figures(run.nb)):2d} figures  {done}",
            *(f"  {problem}" for problem in problems),
            sep="\n",
            flush=True,
        )
        return bool(problems)

    failed = sum(await asyncio.gather(*map(one, paths)))
    print(f"{len(paths) - failed} of {len(paths)} notebooks without a problem")
    print("arithmetic:", *sorted(arithmetics) or ["no notebook used numpy"])
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="tools.notebooks", description=__doc__)
    parser.add_argument("mode", choices=["store"])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all below book/")
    parser.add_argument("--jobs", type=int, default=2, help="kernels at a time (2)")
    options = parser.parse_intermixed_args(arguments)
    paths = options.notebooks or find_notebooks()
    missing = [path for path in paths if not path.is_file()]
    if missing or not paths:
        print("no notebook", *missing or ["below book/"], file=sys.stderr)
        return 2
    adopt()
    os.environ.update(stored_arithmetic())
    return 1 if asyncio.run(run_all(paths, options.jobs)) else 0


if __name__ == "__main__":
    start_anew("tools.notebooks", "clean")
    sys.exit(main())
