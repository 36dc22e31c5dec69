"""Mutation scores: how many small changes of the library its unit tests notice.

mutmut makes the mutants of a module, one change each, and runs for every mutant the tests that
reach the changed function, in a process of its own. A mutant that no test fails on survives. Here
each module has its own unit tests, so that a score says what *they* notice; neither notebooks nor
doctests take part.

Everything happens in a copy, ``_build/mutants/<module>``, so that the work tree may change
meanwhile. ``tests/equivalent_mutants.yml`` lists the mutants that cannot be told from the original,
with the reason. ``store`` runs and writes the scores to ``book/record/mutants.json``; ``collect``
writes those of the runs that were made, each with a hash of the code that was changed.

mutmut leaves out decorated functions (there are few; ``store`` counts them) and what stands outside
functions.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from tools.settings import BOOK, BUILD, ROOT, environment, shown

__all__ = ["EQUIVALENT", "STORED", "TESTS", "Mutant", "digest", "main", "modules", "source"]

PACKAGE = "reluspec_lib"
STORED = BOOK / "record" / "mutants.json"
EQUIVALENT = ROOT / "tests" / "equivalent_mutants.yml"
# The module of entries that hold in all modules: a part of a line and what it may become.
EVERYWHERE = "everywhere"
# What the tests of the library read besides themselves.
COPIED = (PACKAGE, "tests", "tools", "benchmarks", "book", "conftest.py", "pyproject.toml")

# The unit tests of each module, where they are not tests/<room>/test_<module>.py.
TESTS = {
    "__init__": ["test_names"],
    "_check": ["test_check", "test_ledger"],
    "_forms": ["test_groups"],
    "_own": ["test_groups"],
    "_tiles": ["test_tiles"],
    "beyond._composed": ["beyond/test_depth"],
    "beyond._data": ["beyond/test_inputs"],
    "beyond._figure": ["beyond/test_inputs"],
    "beyond._view": ["beyond/test_inputs"],
    "beyond._ladder": ["beyond/test_activations"],
    "beyond._radial": ["beyond/test_activations"],
    "beyond._series": ["beyond/test_activation", "beyond/test_activations", "beyond/test_series"],
    "learning._algebra": ["learning/test_targets"],
    "learning._equivalent": ["learning/test_risk"],
    "learning._flow": ["learning/test_risk"],
    "learning._loss": ["learning/test_loss", "learning/test_dynamics"],
    "learning._sgd": ["learning/test_risk"],
    "learning._setting": ["learning/test_dynamics"],
    "learning._stability": ["learning/test_dynamics"],
    "learning._trajectory": ["learning/test_dynamics"],
    "proportional._arguments": [
        "proportional/test_layers",
        "proportional/test_resolvent",
        "proportional/test_simulated_spectra",
    ],
    "proportional._bulk": [
        "proportional/test_bulk",
        "proportional/test_resolvent",
        "proportional/test_layers",
    ],
    "proportional._descent": [
        "proportional/test_descent",
        "proportional/test_resolvent",
        "proportional/test_layers",
    ],
    "proportional._fixed_point": ["proportional/test_descent", "proportional/test_resolvent"],
    "proportional._layers": ["proportional/test_descent", "proportional/test_layers"],
    "proportional._quartic": [
        "proportional/test_quartic",
        "proportional/test_bulk",
        "proportional/test_resolvent",
    ],
    "proportional._rows": ["proportional/test_rows", "proportional/test_resolvent"],
    "record._exact": ["test_check", "test_ledger"],
    "spectrum._kernel": ["spectrum/test_fisher", "spectrum/test_fisher_spectrum"],
    "spectrum._leading": ["spectrum/test_fisher", "spectrum/test_fisher_spectrum"],
    "spectrum.fisher": ["spectrum/test_fisher", "spectrum/test_fisher_spectrum"],
}

# Fork servers: a process that ran the tests once would hand its caches on to every mutant.
SETTINGS = """
[tool.mutmut]
source_paths = ["{package}"]
only_mutate = ["{file}"]
also_copy = ["tools", "benchmarks", "book", "conftest.py"]
pytest_add_cli_args = ["-ptools.mutants", "-pno:cacheprovider", "-pno:unraisableexception"]
pytest_add_cli_args_test_selection = {tests}
process_isolation = "forkserver"
timeout_constant = 3.0
timeout_multiplier = 10.0
track_dependencies = false
use_git_change_detection = false
"""
DURATIONS = "mutmut-stats.json"
# The seconds of tests that a mutant is given, fast ones first. More would cost hours for the few
# that only a slow test notices; they count as survivors, so that a score is never too high.
ALLOWED = 6.0
# mutmut's exit codes. It counts 255 as time, but that is its own failure to run the tests, as where
# pytest does not find one again by its name.
SURVIVED, NOT_REACHED, UNCHECKED = {0}, {5, 33}, {None, 2, 255}
OUT_OF_TIME = {36, 24, -24, 152}


@dataclass(frozen=True)
class Mutant:
    """One change of the library and what became of it."""

    name: str
    function: str
    was: str
    becomes: str
    code: int | None

    @property
    def alive(self) -> bool:
        """Whether no test noticed it."""
        return self.code in SURVIVED or self.code in NOT_REACHED

    def matches(self, entry: dict[str, Any]) -> bool:
        """Return whether an entry of the list of equivalent mutants speaks of this one."""
        becomes = entry["becomes"] if isinstance(entry["becomes"], list) else [entry["becomes"]]
        if entry["module"] == EVERYWHERE:
            parts = [_bare(self.was.replace(entry["was"], change)) for change in becomes]
            return entry["was"] in self.was and _bare(self.becomes) in parts
        return (
            entry["function"] == self.function
            and entry["was"].strip() == self.was
            and self.becomes in [change.strip() for change in becomes]
        )


def _bare(code: str) -> str:
    """Return code without blanks and without commas before a bracket."""
    return re.sub(r",(?=[)\]])", "", re.sub(r"\s", "", code))


def source(module: str) -> Path:
    """Return the file of a module of the library, named without the package."""
    path = ROOT / PACKAGE / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def modules() -> list[str]:
    """Return the modules of the library that hold a function, named without the package."""
    found = []
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if any(isinstance(node, ast.FunctionDef) for node in nodes):
            parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
            found.append(".".join(part for part in parts if part != "__init__") or "__init__")
    return found


def test_files(module: str) -> list[str]:
    """Return the files with the unit tests of a module."""
    *rooms, name = module.split(".")
    usual = "/".join([*rooms, f"test_{name.removeprefix('_')}"])
    return [f"tests/{path}.py" for path in TESTS.get(module, [usual])]


test_files.__test__ = False  # type: ignore[attr-defined]


def digest(module: str, root: Path = ROOT) -> str:
    """Return a hash of a module's code; comments, docstrings, layout and imports do not count."""
    path = root / source(module).relative_to(ROOT)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    tree.body = [node for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom))]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


def decorated(module: str) -> list[str]:
    """Return the functions that mutmut leaves out because they are decorated."""
    allowed = {"staticmethod", "classmethod"}
    return [
        node.name
        for node in ast.walk(ast.parse(source(module).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and (names := {ast.unparse(decorator) for decorator in node.decorator_list})
        and not names <= allowed | {"abstractmethod", "overload"}
        and not (len(names) == 1 and names <= allowed)
    ]


def copy(module: str, *, fresh: bool) -> Path:
    """Bring the copy of the project in which a module is mutated up to date; return its folder."""
    folder = BUILD / "mutants" / module
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__", "*.ipynb", "_static")
    for name in COPIED:
        here, there = ROOT / name, folder / name
        if here.is_dir():
            # Times are kept: mutmut tells by them what changed.
            shutil.copytree(here, there, ignore=ignore, dirs_exist_ok=True)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(here, there)
    settings = SETTINGS.format(
        package=PACKAGE, file=source(module).relative_to(ROOT), tests=test_files(module)
    )
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(settings)
    return folder


def again(folder: Path, module: str) -> None:
    """Forget what a former run knows of survivors and of which tests reach what.

    Mutants that ran out of time run again too: a busy machine may have stopped them.
    """
    (folder / "mutants" / DURATIONS).unlink(missing_ok=True)
    meta = results_path(folder, module)
    if meta.exists():
        content = json.loads(meta.read_text(encoding="utf-8"))
        codes = content["exit_code_by_key"]
        open_ = SURVIVED | NOT_REACHED | UNCHECKED | OUT_OF_TIME
        content["exit_code_by_key"] = {
            name: None if code in open_ else code for name, code in codes.items()
        }
        meta.write_text(json.dumps(content), encoding="utf-8")


def results_path(folder: Path, module: str) -> Path:
    """Return the file in which mutmut keeps what became of the mutants of a module."""
    return folder / "mutants" / source(module).relative_to(ROOT).with_suffix(".py.meta")


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder; mutmut looks for its settings in the current one."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def read_results(folder: Path, module: str) -> list[Mutant]:
    """Return the mutants of a module; of those that were noticed, only name and exit code."""
    from mutmut.configuration import reset_config
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    codes = json.loads(results_path(folder, module).read_text(encoding="utf-8"))["exit_code_by_key"]
    found = []
    with inside(folder):
        reset_config()
        for name, code in codes.items():
            function = name.rpartition("__mutmut_")[0].rpartition(".")[2]
            function = function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
            was = becomes = ""
            if code in SURVIVED | NOT_REACHED:
                lines = get_diff_for_mutant(
                    name, path=source(module).relative_to(ROOT)
                ).splitlines()
                lines = [line for line in lines if not line.startswith(("---", "+++"))]
                was, becomes = (
                    "\n".join(line[1:].strip() for line in lines if line.startswith(sign))
                    for sign in "-+"
                )
            found.append(Mutant(name, function, was, becomes, code))
    return found


def equivalent(module: str) -> list[dict[str, Any]]:
    """Return the entries of the list of equivalent mutants that speak of a module."""
    entries = yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8")) or []
    return [entry for entry in entries if entry["module"] in (module, EVERYWHERE)]


def run(module: str, jobs: int, *, fresh: bool) -> list[Mutant]:
    """Run the unit tests of a module against its mutants."""
    folder = copy(module, fresh=fresh)
    again(folder, module)
    command = [str(Path(sys.executable).parent / "mutmut"), "run", "--max-children", str(jobs)]
    # Most of the time of a killed mutant is pytest's own: no plugin is loaded that is not needed.
    env = environment() | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    log = folder / "mutmut.log"
    with log.open("w", encoding="utf-8") as file:
        code = subprocess.run(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        ).returncode
    if code or not results_path(folder, module).exists():
        print(log.read_text(encoding="utf-8")[-4000:], file=sys.stderr)
        raise SystemExit(f"{module}: mutmut failed, see {shown(log)}")
    return read_results(folder, module)


def score(module: str, mutants: Sequence[Mutant]) -> tuple[dict[str, Any], list[Mutant]]:
    """Return the row of a module and the survivors that are not listed as equivalent."""
    entries = equivalent(module)
    same = [m for m in mutants if m.alive and any(m.matches(entry) for entry in entries)]
    alive = [m for m in mutants if m.alive and m not in same]
    unchecked = sum(m.code in UNCHECKED for m in mutants)
    counted = len(mutants) - len(same) - unchecked
    row = {
        "mutants": len(mutants),
        "killed": counted - len(alive),
        "out_of_time": sum(m.code in OUT_OF_TIME for m in mutants),
        "equivalent": len(same),
        "score": round((counted - len(alive)) / counted, 4) if counted else 1.0,
        "source": digest(module, BUILD / "mutants" / module),
    }
    if unchecked:
        row["unchecked"] = unchecked
    return row, alive


def report(
    module: str, row: dict[str, Any], mutants: Sequence[Mutant], alive: Sequence[Mutant]
) -> None:
    """Print the score of a module, its survivors, and entries that no longer match anything."""
    for mutant in alive:
        reached = "" if mutant.code in SURVIVED else "  (no test reaches it)"
        print(f"\n{mutant.name.rpartition('.')[2]}: {module}.{mutant.function}{reached}")
        for sign, text in (("-", mutant.was), ("+", mutant.becomes)):
            print("\n".join(f"  {sign} {line}" for line in text.splitlines()))
    kinds = Counter(mutant.function for mutant in alive)
    if kinds:
        print("\nsurvivors:", ", ".join(f"{name} {count}" for name, count in kinds.most_common()))
    for entry in equivalent(module):
        if entry["module"] != EVERYWHERE and not any(mutant.matches(entry) for mutant in mutants):
            print(f"no mutant matches: {entry}")
    if left_out := decorated(module):
        print(f"not mutated, for they are decorated: {', '.join(left_out)}")
    print(
        f"{module}: {row['mutants']} mutants, {row['killed']} killed "
        f"({row['out_of_time']} of them by running out of time), {len(alive)} survived, "
        f"{row['equivalent']} equivalent"
        + (f", {row['unchecked']} not checked" if "unchecked" in row else "")
        + f": {row['score']:.1%}",
        flush=True,
    )


def store(rows: dict[str, dict[str, Any]]) -> None:
    """Write scores over those that are stored; modules that are gone lose theirs."""
    content = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {"modules": {}}
    merged = content["modules"] | rows
    content = {
        "versions": {name: metadata.version(name) for name in ("mutmut", "hypothesis", "numpy")},
        "modules": {name: merged[name] for name in modules() if name in merged},
    }
    STORED.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def pytest_configure(config: Any) -> None:
    """Collect whole files (this module is a plugin of the runs that mutmut makes).

    mutmut names each test, which pytest looks for one by one: half of the time of a killed mutant.
    An example that fails is enough; the smallest one that does is not looked for.
    """
    from hypothesis import Phase, settings

    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("mutants", phases=phases)  # of the profile in use, nothing else
    settings.load_profile("mutants")
    config.chosen_tests = {name for name in config.args if "::" in name}
    config.args = sorted({name.partition("::")[0] for name in config.args})


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Run the tests that were named, fast ones first, as many as a mutant is allowed."""
    if chosen := config.chosen_tests:
        items[:] = [item for item in items if item.nodeid in chosen]
        if len(items) < len(chosen):
            import pytest

            raise pytest.UsageError(f"not found: {chosen - {item.nodeid for item in items}}")
    path = Path(DURATIONS)
    if path.exists():
        seconds = json.loads(path.read_text(encoding="utf-8"))["duration_by_test"]
        items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))
        until = list(itertools.accumulate(seconds.get(item.nodeid, 0.0) for item in items))
        count = max(1, sum(end <= ALLOWED for end in until))
        del items[count:]
        if chosen and all(item.nodeid in seconds for item in items):
            _limit(3 + 5 * until[count - 1])


def _limit(seconds: float) -> None:
    """End this process after processor seconds more: mutmut waits as if all tests ran."""
    import resource  # which not every system has

    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    limit = math.ceil(used.ru_utime + used.ru_stime + seconds)
    if most != resource.RLIM_INFINITY:
        limit = min(limit, most)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, most))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="tools.mutants", description=__doc__)
    parser.add_argument("mode", choices=["run", "again", "show", "store", "collect"])
    parser.add_argument("modules", nargs="*", help="default: all")
    parser.add_argument("--jobs", type=int, default=2, help="tests at a time (2)")
    options = parser.parse_intermixed_args(arguments)
    known = modules()
    chosen = [name.removeprefix(f"{PACKAGE}.") for name in options.modules] or known
    if unknown := sorted(set(chosen) - set(known)):
        parser.error(f"no module {', '.join(unknown)}; there are {', '.join(known)}")
    rows = {}
    for module in chosen:
        folder = BUILD / "mutants" / module
        if options.mode in ("show", "collect"):
            if not results_path(folder, module).exists():
                print(f"{module}: no run")
                continue
            mutants = read_results(folder, module)
        else:
            mutants = run(module, options.jobs, fresh=options.mode != "again")
        rows[module], alive = score(module, mutants)
        report(module, rows[module], mutants, alive)
        # A run that was cut off says nothing of the mutants that it did not reach.
        if options.mode in ("store", "collect") and "unchecked" not in rows[module]:
            store({module: rows[module]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
