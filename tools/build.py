"""Build the book: every page anew, each warning an error, and say where it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools import archive
from tools.settings import HTML, ROOT, environment, shown

# --all: a build that only updates returns 0 after a failed one. -n: a link that leads nowhere is
# a warning. -q: only warnings are printed.
OPTIONS = ["-W", "-n", "--keep-going", "--all", "-q"]


def main() -> int:
    """Build and return the exit status of jupyter-book."""
    start = time.monotonic()
    print("building the book", flush=True)
    # What a failed build leaves must not pass for the book.
    shutil.rmtree(HTML, ignore_errors=True)
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", ".", *OPTIONS]
    # Warnings come on stderr; on stdout jupyter-book says at length where the book is.
    result = subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
    code = result.returncode
    index = HTML / "index.html"
    if code or not index.exists():
        print(result.stdout)
        print("the book was not built: see the warnings above", file=sys.stderr)
        return code or 1
    archive.build(HTML)
    files = [path for path in HTML.rglob("*") if path.is_file()]
    pages = sum(path.suffix == ".html" for path in files)
    size = sum(path.stat().st_size for path in files) / 1e6
    seconds = time.monotonic() - start
    print(f"{pages} pages, {size:.1f} MB, {seconds:.0f} s: {shown(index)}\nopen {index.as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
