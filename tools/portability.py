"""Run the notebooks in other arithmetics and hold them to their stored outputs.

A reader's processor rounds otherwise than that of whoever stored the outputs. Each arithmetic of
``tools/arithmetic.py`` that this processor can do is one nbval run, by the rules of the first; what
it cannot do is said. ``other`` runs only the one that is farthest from the processor's own, as the
second run of ``make test``.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from tools.arithmetic import ARITHMETICS, OTHER, Arithmetic
from tools.notebooks import USAGE, read_usage
from tools.settings import BOOK, ROOT, environment, shown

__all__ = ["NBVAL", "in_use", "main", "passed"]

# loadfile: the cells of a notebook stay together. Notebooks start in the order that they are given
# in, and not those of many cells first, which are not those that take long.
NBVAL = [
    *[sys.executable, "-m", "pytest", "-q", "--tb=short", "--color=no"],
    *["--nbval", "--nbval-current-env", "--nbval-cell-timeout=300"],
    *["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"],
]
BOTH_POOLS = "import numpy, scipy.linalg"


def in_use(variables: dict[str, str]) -> str:
    """Return the arithmetic in which Python computes under these variables."""
    command = [sys.executable, "-W", "error", "-c", f"{BOTH_POOLS}\n{USAGE}"]
    result = subprocess.run(
        command, env=environment() | variables, capture_output=True, text=True, check=True
    )
    return read_usage(result.stdout).arithmetic


def run(arithmetic: Arithmetic, notebooks: Sequence[str]) -> tuple[int, str]:
    """Compare notebooks with what is stored in them; show and return what pytest says last."""
    last = ""
    with subprocess.Popen(
        [*NBVAL, *notebooks],
        cwd=ROOT,
        env=environment() | arithmetic.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
    return process.returncode, last


def passed(junit: Path, notebooks: Sequence[str]) -> dict[str, float]:
    """Return the processor seconds of those notebooks of which every cell ran and passed."""
    ran: dict[str, list[ElementTree.Element]] = {}
    for case in ElementTree.parse(junit).iter("testcase"):
        ran.setdefault(case.get("classname", ""), []).append(case)
    found = {}
    for notebook in notebooks:
        cases = ran.get(notebook.replace("/", "."), [])
        cells = json.loads((ROOT / notebook).read_text(encoding="utf-8"))["cells"]
        complete = len(cases) == sum(cell["cell_type"] == "code" for cell in cells)
        usage = [entry.get("value", "") for case in cases for entry in case.iter("property")]
        clean = all(child.tag == "properties" for case in cases for child in case)
        if complete and clean and len(usage) == 1:
            found[notebook] = float(ast.literal_eval(usage[0])[1]["seconds"])
    return found


def other(notebooks: Sequence[str]) -> int:
    """Run the notebooks in the arithmetic that is farthest from the processor's own."""
    native = in_use({})
    for arithmetic in ARITHMETICS:
        if arithmetic.name in OTHER and not arithmetic.missing():
            break
    else:
        print("this processor has no other arithmetic that is known here: it runs its own again")
        arithmetic = ARITHMETICS[0]
    used = in_use(arithmetic.environment())
    if arithmetic.name in OTHER and used == native:
        print(f"{arithmetic.name} was asked for, but Python computes in {used} as without it")
        return 1
    return run(arithmetic, notebooks)[0]


def every(notebooks: Sequence[str]) -> int:
    """Run the notebooks in every arithmetic, print a table, return 1 if one gave other outputs."""
    table: list[tuple[str, str]] = []
    done: dict[str, str] = {}
    failed = 0
    for arithmetic in ARITHMETICS:
        if missing := arithmetic.missing():
            table.append((arithmetic.name, f"not possible here: no {', '.join(missing)}"))
            continue
        used = in_use(arithmetic.environment())
        if used in done:
            table.append((arithmetic.name, f"not run: {used}, as {done[used]}"))
            continue
        done[used] = arithmetic.name
        print(f"{arithmetic.name}: {used}", flush=True)
        start = time.monotonic()
        code, last = run(arithmetic, notebooks)
        passed = not code and re.search(r"\b\d+ passed\b", last)
        failed += not passed
        verdict = "passed" if passed else "FAILED"
        table.append((arithmetic.name, f"{verdict}: {used}: {last}"))
        print(f"{time.monotonic() - start:.0f} s", flush=True)
    print()
    width = max(len(name) for name, _ in table)
    for name, verdict in table:
        print(f"{name:{width}}  {verdict}")
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="tools.portability", description=__doc__)
    parser.add_argument("mode", choices=["every", "other"])
    parser.add_argument("notebooks", nargs="*", help="default: all below book/")
    options = parser.parse_intermixed_args(arguments)
    notebooks = options.notebooks or [shown(BOOK)]
    return {"every": every, "other": other}[options.mode](notebooks)


if __name__ == "__main__":
    sys.exit(main())
