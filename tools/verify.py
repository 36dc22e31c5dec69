"""Verify the book: run every gate, show what each does and how long it took, and count.

What passed before is not run again while nothing that it depends on has changed, unless --all or
the variable CI asks for it. ``tools/verified.py`` knows what that is.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tools import verified
from tools.portability import NBVAL, passed
from tools.settings import BUILD, ROOT, environment, find_notebooks, shown

__all__ = ["STAGES", "Stage", "main", "verdict", "verify"]

PYTHON = sys.executable
PYTEST = [PYTHON, "-m", "pytest", "-q", "--tb=short", "--color=no"]
HEARTBEAT = 30.0  # seconds between signs of life where the output is not a terminal
BUILT = [f"tests/pages/test_{name}.py" for name in ("pages", "browser", "live")]


@dataclass(frozen=True)
class Stage:
    """One gate: commands that all have to succeed.

    ``keeps`` says what a pass is kept of: the whole "stage", or each of the "notebooks", which its
    command then takes as arguments; of a quick stage nothing, and it always runs.
    """

    name: str
    what: str
    commands: Sequence[Sequence[str]]
    needs: tuple[str, ...] = ()
    pytest: bool = False
    may_skip: bool = False
    keeps: Literal["", "stage", "notebooks"] = ""


STAGES = (
    Stage(
        "lint",
        "ruff: code and notebooks keep the rules and the layout",
        [
            [PYTHON, "-m", "ruff", "check", "."],
            [PYTHON, "-m", "ruff", "format", "--check", "."],
        ],
    ),
    Stage("types", "mypy: the library is fully typed", [[PYTHON, "-m", "mypy"]]),
    Stage(
        "library",
        "pytest: the library, its doctests, the tools and the form of the notebooks",
        [[*PYTEST, "-n", "2", "--durations=5", *(f"--ignore={path}" for path in BUILT)]],
        keeps="stage",
        pytest=True,
    ),
    Stage(
        "notebooks",
        "nbval: every notebook gives its stored outputs and figures again, in time and memory",
        [NBVAL],
        pytest=True,
        keeps="notebooks",
    ),
    Stage(
        "arithmetic",
        "nbval: the same once more, computed as an older processor would",
        [[PYTHON, "-m", "tools.portability", "other"]],
        pytest=True,
        keeps="notebooks",
    ),
    Stage(
        "book",
        "jupyter-book: every warning is an error",
        [[PYTHON, "-m", "tools.build"]],
        keeps="stage",
    ),
    Stage(
        "archive",
        "nbval: chapters run from the book's archive alone, with the network off",
        [[PYTHON, "-m", "tools.archive", "check"]],
        needs=("book",),
        keeps="stage",
        pytest=True,
    ),
    Stage(
        "pages",
        "pytest: the built pages ask nothing of other hosts and hold no left-over markup",
        [[*PYTEST, BUILT[0]]],
        needs=("book",),
        keeps="stage",
        pytest=True,
    ),
    Stage(
        "browser",
        "pytest: the pages in Chromium, wide and on a phone, light and dark",
        [[*PYTEST, "-n", "2", *BUILT[1:]]],
        needs=("book",),
        keeps="stage",
        pytest=True,
        may_skip=True,
    ),
)


def run(command: Sequence[str], env: dict[str, str]) -> tuple[int, str]:
    """Run a command; show its latest line while it runs; return exit status and all output."""
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    pieces: list[bytes] = []

    def collect(descriptor: int) -> None:
        while piece := os.read(descriptor, 65536):
            pieces.append(piece)

    reader = threading.Thread(target=collect, args=(process.stdout.fileno(),), daemon=True)
    reader.start()
    terminal = sys.stdout.isatty()
    pause = 0.5 if terminal else HEARTBEAT
    while True:
        reader.join(pause)
        if not reader.is_alive():
            break
        lines = b"".join(pieces).decode(errors="replace").split("\n")
        latest = next((line.strip() for line in reversed(lines) if line.strip()), "")
        status = f"      {time.monotonic() - start:4.0f} s  {latest[-88:]}"
        print(f"\r\033[K{status[:104]}" if terminal else status, end="" if terminal else "\n")
        sys.stdout.flush()
    code = process.wait()
    process.stdout.close()
    if terminal:
        print("\r\033[K", end="", flush=True)
    return code, b"".join(pieces).decode(errors="replace")


def verdict(stage: Stage, code: int, output: str, *, strict: bool = False) -> tuple[str, str]:
    """Return ``passed``, ``failed`` or ``skipped`` and a line that says why.

    A pytest that ran nothing, or skipped everything it found, has verified nothing.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    if code or not stage.pytest:
        return ("failed" if code else "passed"), last
    if re.search(r"\b\d+ passed\b", last):
        return "passed", last
    reasons = [line for line in lines if line.startswith("SKIPPED")]
    reason = reasons[0].partition("] ")[2] if reasons else last
    if stage.may_skip and not strict and re.search(r"\b\d+ skipped\b", last):
        return "skipped", reason
    return "failed", f"no test ran: {reason}"


def run_stage(
    stage: Stage, env: dict[str, str], log: Path, *, strict: bool = False
) -> tuple[str, str]:
    """Run the commands of a stage until one fails; return the verdict and why."""
    output = ""
    for command in stage.commands:
        code, text = run(command, env)
        output += text
        result, why = verdict(stage, code, text, strict=strict)
        if result == "failed":
            break
    log.write_text(output, encoding="utf-8")
    if result == "failed":
        print(output.rstrip())
    return result, why


def run_notebooks(
    stage: Stage, notebooks: Sequence[str], env: dict[str, str], log: Path
) -> tuple[str, str, dict[str, float]]:
    """Run a stage on notebooks; return verdict, why, and the seconds of those that passed."""
    junit = log.with_suffix(".xml")
    junit.unlink(missing_ok=True)
    asked = replace(stage, commands=[[*command, *notebooks] for command in stage.commands])
    result, why = run_stage(asked, env | {"PYTEST_ADDOPTS": f"--junitxml={junit}"}, log)
    return result, why, passed(junit, notebooks) if junit.exists() else {}


def run_changed(
    stage: Stage, env: dict[str, str], log: Path, *, strict: bool, everything: bool
) -> tuple[str, str, str]:
    """Run what is not known to pass, and keep what passes; return verdict, why, what was known."""
    before = verified.take()
    each = stage.keeps == "notebooks"
    names = [path.relative_to(ROOT).as_posix() for path in find_notebooks()] if each else [""]
    known = [] if everything else [n for n in names if verified.unchanged(stage.name, n, before)]
    what = f"{len(known)} of {len(names)} notebooks" if each else "everything"
    note = f"{what} unchanged since the last pass" if known else ""
    if len(known) == len(names):
        return "passed", note, note
    if each:
        order = verified.longest_first(stage.name, [name for name in names if name not in known])
        result, why, done = run_notebooks(stage, order, env, log)
    else:
        result, why = run_stage(stage, env, log, strict=strict)
        done = {"": 0.0} if result == "passed" else {}
    verified.keep(stage.name, done, before)
    return result, why, note


def verify(
    stages: Sequence[Stage], logs: Path, *, strict: bool = False, everything: bool = True
) -> int:
    """Run stages, print a table and the count, return 1 if one failed.

    Without ``everything``, what passed before and has not changed counts as passed.
    """
    env = environment() | {"PYTHONUNBUFFERED": "1"}
    # A pytest that this one runs under must not pass its settings on.
    env = {name: value for name, value in env.items() if not name.startswith("PYTEST_")}
    logs.mkdir(parents=True, exist_ok=True)
    results: dict[str, str] = {}
    table = []
    for k, stage in enumerate(stages, 1):
        print(f"[{k}/{len(stages)}] {stage.name}: {stage.what}", flush=True)
        start = time.monotonic()
        log = logs / f"{stage.name}.log"
        blocked = [name for name in stage.needs if results.get(name) == "failed"]
        note = ""
        if blocked:
            result, why = "failed", f"not run: it needs {', '.join(blocked)}"
        elif stage.keeps:
            result, why, note = run_changed(stage, env, log, strict=strict, everything=everything)
        else:
            result, why = run_stage(stage, env, log, strict=strict)
        seconds = time.monotonic() - start
        results[stage.name] = result
        table.append((stage.name, result, seconds, note if result == "passed" else why))
        print(f"      {result} in {seconds:.1f} s: {why}", flush=True)
    count = {word: list(results.values()).count(word) for word in ("passed", "failed", "skipped")}
    print()
    for name, result, seconds, why in table:
        print(f"{name:10} {result:8} {seconds:6.1f} s  {why}".rstrip())
    print(f"{'total':10} {'':8} {sum(row[2] for row in table):6.1f} s  logs in {shown(logs)}")
    if any(result == "passed" and why for _, result, _, why in table):
        print("What is unchanged was not run again: make test ALL=1 runs it.")
    skipped = f", {count['skipped']} skipped" if count["skipped"] else ""
    print(f"{count['passed']} passed, {count['failed']} failed{skipped}")
    return 1 if count["failed"] else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    names = [stage.name for stage in STAGES]
    parser = argparse.ArgumentParser(prog="tools.verify", description=__doc__)
    parser.add_argument("--only", default="", help=f"stages with commas: {','.join(names)}")
    parser.add_argument("--all", action="store_true", help="run what is unchanged as well")
    options = parser.parse_args(arguments)
    chosen = [name for name in options.only.split(",") if name]
    if unknown := sorted(set(chosen) - set(names)):
        parser.error(f"no stage {', '.join(unknown)}; there are {', '.join(names)}")
    stages = [stage for stage in STAGES if not chosen or stage.name in chosen]
    strict = os.environ.get("REQUIRE_BROWSER") == "1"
    with contextlib.suppress(AttributeError):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    everything = options.all or strict or bool(os.environ.get("CI"))
    return verify(stages, BUILD / "verify", strict=strict, everything=everything)


if __name__ == "__main__":
    sys.exit(main())
