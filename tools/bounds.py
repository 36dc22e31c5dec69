"""Test the library with other packages than the pinned ones: the oldest allowed, or the newest.

Both make an environment of their own below ``_build/`` and run the library's tests in it. The
oldest are the lower bounds in ``pyproject.toml``, of the library and of its extras.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence

from tools.settings import BUILD, ROOT, environment

__all__ = ["main", "requirements"]

# What runs the tests, and what they compare the library with.
TESTS = ["distributed", "hypothesis", "nbclient", "nbval", "pillow", "psutil", "pytest", "pyyaml"]
# These look at the tools, the notebooks and the pages, which have the pinned packages only.
LEFT_OUT = ["tests/tools", "tests/pages", "tests/test_layout.py"]


def requirements(which: str) -> list[str]:
    """Return what pip has to install for ``oldest`` or ``latest``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(name for extra in extras for name in extra)]
    if which == "latest":
        return [re.split(r"[<>=~]", name)[0] for name in wanted]
    # The lower bound 2.0 means the series: its last patch.
    return [re.sub(r">=(.*)", r"==\1.*", name) for name in wanted]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="tools.bounds", description=__doc__)
    parser.add_argument("which", choices=["oldest", "latest"])
    which = parser.parse_args(arguments).which
    venv = BUILD / which
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
    python = str(venv / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    names = requirements(which)
    subprocess.run([*pip, *names, *TESTS], check=True)
    print("tested with:", " ".join(names), flush=True)
    ignored = [f"--ignore={path}" for path in LEFT_OUT]
    command = [python, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", *ignored]
    # The tests' own oracles must not fail on a warning of a package that is not pinned.
    command += ["-W", "default", "tests"]
    return subprocess.run(command, cwd=ROOT, env=environment()).returncode


if __name__ == "__main__":
    sys.exit(main())
