"""Write the two locks: ``requirements.txt`` for the book, ``requirements-test.txt`` on top of it.

Both come from one resolution, so that they agree: what only the checks need is what the whole has
and the book has not. Arguments, such as ``--upgrade``, go to uv.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence

from tools.settings import BUILD, ROOT

__all__ = ["entries", "main"]

BOOK_LOCK = ROOT / "requirements.txt"
TEST_LOCK = ROOT / "requirements-test.txt"
COMPILE = [
    *("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-header", "--no-annotate"),
]


def entries(lock: str) -> list[str]:
    """Return the packages of a lock, each with its hashes, as they stand there."""
    return re.split(r"\n(?=\S)", lock.strip()) if lock.strip() else []


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    options = list(sys.argv[1:] if arguments is None else arguments)
    whole = BUILD / "lock.txt"
    BUILD.mkdir(exist_ok=True)
    # uv keeps the pins of the file that it is about to write.
    whole.write_text(BOOK_LOCK.read_text() + TEST_LOCK.read_text(), encoding="utf-8")
    sources = ["requirements.in", "requirements-test.in"]
    subprocess.run([*COMPILE, *options, *sources, "-o", str(whole)], cwd=ROOT, check=True)
    book = [sources[0], "-c", str(whole), "-o", str(BOOK_LOCK)]
    subprocess.run([*COMPILE, *book], cwd=ROOT, check=True)
    of_book = set(entries(BOOK_LOCK.read_text()))
    rest = [entry for entry in entries(whole.read_text()) if entry not in of_book]
    TEST_LOCK.write_text("\n".join(rest) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
