"""Repeat the simulated checks of the notebooks on fresh seeds and report; nothing is stored.

Every seed in a cell, ``default_rng(301)``, is replaced by one that depends on it and on a number
for the whole run, and the cells run in a process of their own. A check that fails is reported and
does not stop its notebook. Checks that a notebook expects to fail, inside ``try`` with an ``except
CheckFailed``, are left alone, and so are seeds that a cell takes from stored data.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import secrets
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from reluspec_lib.ledger import Check, CheckFailed, Ledger
from tools.notebooks import read
from tools.record import pool
from tools.settings import ROOT, environment, find_notebooks, shown

__all__ = ["Fresh", "reseeded", "run_notebook"]

SEED, EXPECTING, PROGRAM = "_fresh_seed", "_expecting_failure", "_fresh_program"

SEEDED = re.compile(r"(?<=default_rng\()\d+(?=\))")


class Fresh(ast.NodeTransformer):
    """Replace seeds, and mark where a check is expected to fail."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Wrap the seed of a generator, if it is a literal or a variable."""
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        if name in {"default_rng", "SeedSequence"} and node.args and _replaceable(node.args[0]):
            node.args[0] = _call(SEED, node.args[0])
        for keyword in node.keywords:
            seed = keyword.arg in {"rng", "seed", "random_state"}
            if seed and isinstance(keyword.value, ast.Constant) and _replaceable(keyword.value):
                keyword.value = _call(SEED, keyword.value)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Wrap the text of a program that another process runs."""
        program = isinstance(node.value, str) and SEEDED.search(node.value)
        return _call(PROGRAM, node) if program else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Leave text with holes as it is: its parts cannot be wrapped."""
        return node

    def visit_Try(self, node: ast.Try) -> ast.AST:
        """Say within a block whose failed check is caught that it may fail."""
        self.generic_visit(node)
        caught = [ast.unparse(handler.type) for handler in node.handlers if handler.type]
        if any("CheckFailed" in name or "AssertionError" in name for name in caught):
            node.body = [ast.With([ast.withitem(_call(EXPECTING))], node.body)]
        return node


def reseeded(source: str) -> ast.Module:
    """Return the syntax tree of a cell with fresh seeds."""
    module = ast.parse(source)
    Fresh().visit(module)
    return ast.fix_missing_locations(module)


def run_notebook(path: Path, number: int) -> list[dict[str, Any]]:
    """Run the cells of a notebook on fresh seeds; return its simulated checks and what failed."""
    found: list[dict[str, Any]] = []
    expecting = [0]

    @contextmanager
    def expecting_failure() -> Iterator[None]:
        expecting[0] += 1
        try:
            yield
        finally:
            expecting[0] -= 1

    def fresh(seed: Any) -> int:
        """Return another seed, the same for the same seed and run."""
        old = [int(part) for part in np.atleast_1d(seed)]
        return int(np.random.SeedSequence([number, *old]).generate_state(1, np.uint64)[0])

    def fresh_program(text: str) -> str:
        """Return a program with the seeds that the notebook itself gets."""
        return SEEDED.sub(lambda found: str(fresh(int(found.group()))), text)

    def reporting(check: Callable[..., Check]) -> Callable[..., Check]:
        def wrapped(self: Ledger, name: str, *values: Any, **options: Any) -> Check:
            if expecting[0]:
                return check(self, name, *values, **options)
            done: Check | None
            try:
                done, why = check(self, name, *values, **options), ""
            except CheckFailed as failure:
                done, why = failure.check, str(failure)
            assert done is not None  # whatever fails says what it would have recorded
            if done.layer in "MR" or why:
                found.append(
                    {
                        "layer": done.layer,
                        "name": name,
                        "z": done.z,
                        "draws": done.draws,
                        "why": why,
                    }
                )
            return done

        return wrapped

    methods = ["symbolic", "numeric", "certified", "inequality", "simulation", "rate"]
    originals = {name: getattr(Ledger, name) for name in methods}
    for name, original in originals.items():
        setattr(Ledger, name, reporting(original))
    scope: dict[str, Any] = {"__name__": "__main__"}
    scope |= {SEED: fresh, PROGRAM: fresh_program, EXPECTING: expecting_failure, "display": print}
    try:
        cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
        for count, cell in enumerate(cells, 1):
            try:
                exec(compile(reseeded(cell.source), f"{path.stem}, cell {count}", "exec"), scope)
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
                found.append(
                    {"layer": "", "name": f"cell {count}", "z": None, "draws": None, "why": why}
                )
    finally:
        for name, original in originals.items():
            setattr(Ledger, name, original)
    return found


def in_process(path: Path, number: int) -> list[dict[str, Any]]:
    """Run a notebook in a process of its own."""
    command = [sys.executable, "-m", "tools.reseed", "--number", str(number), "--one", str(path)]
    env = environment() | {"MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=path.parent, env=env, capture_output=True, text=True)
    lines = result.stdout.splitlines()
    if result.returncode or not lines:
        why = (result.stderr.strip().splitlines() or ["no output"])[-1]
        return [{"layer": "", "name": "notebook", "z": None, "draws": None, "why": why}]
    checks: list[dict[str, Any]] = json.loads(lines[-1])
    return checks


def report(paths: Sequence[Path], number: int, jobs: int) -> int:
    """Run notebooks, print each simulated check and all of them together; return the failures."""
    start = time.monotonic()
    simulated: list[tuple[float, int]] = []
    failed: list[str] = []
    with ThreadPoolExecutor(jobs) as executor:
        results = executor.map(lambda path: in_process(path, number), paths)
        for path, checks in zip(paths, results, strict=True):
            print(shown(path), flush=True)
            for check in checks:
                z = f"{check['z']:6.2f}" if check["z"] is not None else f"{check['layer']:>6}"
                print(f"  {z}  {check['name']}{'  FAILED' if check['why'] else ''}", flush=True)
                if check["z"] is not None:
                    simulated.append((check["z"], check["draws"]))
                if check["why"]:
                    failed.append(f"{path.stem}: {check['why']}")
    print(*failed, sep="\n" if failed else "")
    if simulated:
        pooled = pool(simulated)
        print(
            f"{len(simulated)} simulated checks with reseed number {number}: root mean square of z "
            f"{pooled.rms:.3f}, p = {pooled.p:.3f}, largest {np.abs(pooled.z).max():.2f}"
        )
    print(f"{len(failed)} failed, {time.monotonic() - start:.0f} s; nothing was stored")
    return len(failed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="tools.reseed", description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all below book/")
    parser.add_argument("--number", type=int, help="what the seeds depend on; default: a new one")
    parser.add_argument("--jobs", type=int, default=2, help="notebooks at a time (2)")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    number = secrets.randbelow(10**6) if options.number is None else options.number
    if options.one:
        warnings.simplefilter("ignore")  # a backend without windows says so at every plt.show()
        with redirect_stdout(sys.stderr):
            checks = run_notebook(options.one, number)
        print(json.dumps(checks))
        return 0
    paths = [path.resolve() for path in options.notebooks] or find_notebooks()
    return 1 if report(paths, number, options.jobs) else 0


def _replaceable(node: ast.expr) -> bool:
    """Return whether a seed is a literal number, a list of such, or a variable."""
    if isinstance(node, (ast.List, ast.Tuple)):
        return all(_replaceable(entry) for entry in node.elts)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int) and not isinstance(node.value, bool)
    return isinstance(node, ast.Name)


def _call(name: str, *values: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(values), [])


if __name__ == "__main__":
    sys.exit(main())
