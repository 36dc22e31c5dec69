"""Know what passed before, by the content of everything that the result depends on.

A stage of ``make test``, or one notebook of a stage, that passed leaves an entry below
``_build/verified``. The entry counts as long as each byte is the same: of the repository (for a
notebook: less the other notebooks and what no notebook reads), of the built pages for stages that
read them, and of the machine, which is its processor, system, Python, packages, browser, locale and
the address that the book is built for. Of the packages, of which there are many files, size and
time of each. An entry that is not exactly as it was written counts as none.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.arithmetic import core
from tools.settings import BUILD, HTML, ROOT

__all__ = ["Snapshot", "keep", "longest_first", "take", "unchanged"]

#: Digests of files by their paths, and that of the machine by the empty path.
Snapshot = Mapping[str, str]

ENTRIES = BUILD / "verified"
BUILT = HTML.relative_to(ROOT).as_posix() + "/"
READ_BUILT = {"book", "archive", "pages", "browser"}
# What .gitignore names: results, and what editors and tools leave.
IGNORED = {
    *(".git", ".venv", "_build", "dist", "__pycache__", ".hypothesis", ".ipynb_checkpoints"),
    *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".DS_Store"),
}
# What a run writes where the packages and the settings of Jupyter and matplotlib are.
VOLATILE = {"__pycache__", "history.sqlite", "history.sqlite-journal", "log", "pid", "security"}
# Of no effect on what a notebook computes.
UNREAD = ("tests/", "book/_static/", "book/_extensions/", ".github/", ".ci/", "binder/")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def files_below(folder: Path, ignored: set[str]) -> list[Path]:
    """Return the files below a folder without those whose path holds an ignored name."""
    found = []
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - ignored)
        found += [Path(where, name) for name in sorted(set(files) - ignored)]
    return found


def content(path: Path) -> str:
    """Return the digest of a file and whether it may be run."""
    with path.open("rb") as file:
        return f"{hashlib.file_digest(file, 'sha256').hexdigest()} {os.access(path, os.X_OK)}"


def machine() -> str:
    """Return the digest of what computes: processor, system, Python, packages, browser, locale."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = sorted({line for line in lines if line.startswith(("model", "flags", "Features"))})
    browsers = [os.environ.get("CHROMIUM"), *map(shutil.which, BROWSERS)]
    settings = ("LC_", "LANG", "TZ", "BOOK_URL")
    locale = sorted(pair for pair in os.environ.items() if pair[0].startswith(settings))
    facts: list[object] = [platform.platform(), sys.version, sys.executable, models, browsers]
    facts += [core.__cpu_features__, locale]
    files = [Path(path).resolve() for path in (*browsers, sys.executable) if path]
    for folder in {Path(sys.prefix), ROOT / ".venv"}:
        files += files_below(folder, VOLATILE)
    for path in filter(Path.exists, sorted(files)):
        status = path.lstat()
        facts.append((str(path), status.st_size, status.st_mtime_ns))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def take() -> Snapshot:
    """Return what is there now."""
    paths = files_below(ROOT, IGNORED) + files_below(HTML, set())
    found = {path.relative_to(ROOT).as_posix(): content(path) for path in paths if path.is_file()}
    return found | {"": machine()}


def counts(stage: str, notebook: str, path: str) -> bool:
    """Return whether the result of a stage, or of one notebook of it, depends on a file."""
    if path.startswith(BUILT):
        return stage in READ_BUILT
    if notebook and path != notebook:
        return not path.startswith(UNREAD) and not path.endswith((".ipynb", ".md"))
    return True


def key(stage: str, notebook: str, snapshot: Snapshot, *, built: bool = True) -> str:
    """Return the digest of all that the result depends on, if need be without the built pages."""
    paths = sorted(path for path in snapshot if counts(stage, notebook, path))
    parts = [(path, snapshot[path]) for path in paths if built or not path.startswith(BUILT)]
    return hashlib.sha256(json.dumps([stage, notebook, parts]).encode()).hexdigest()


def sealed(entry: dict[str, object]) -> str:
    """Return the text of an entry: one line, and its digest."""
    line = json.dumps(entry)
    return f"{line}\n{hashlib.sha256(line.encode()).hexdigest()}\n"


def place(stage: str, notebook: str) -> Path:
    return ENTRIES / stage / f"{notebook.replace('/', '--') or 'whole'}.txt"


def entry_of(stage: str, notebook: str) -> dict[str, object]:
    """Return the entry, an empty one unless it is exactly as it was written."""
    try:
        text = place(stage, notebook).read_text(encoding="utf-8")
        entry = json.loads(text.partition("\n")[0])
    except (OSError, ValueError):
        return {}
    return entry if isinstance(entry, dict) and sealed(entry) == text else {}


def unchanged(stage: str, notebook: str, snapshot: Snapshot) -> bool:
    """Return whether a stage, or one notebook of it, passed with everything as it is here."""
    return entry_of(stage, notebook).get("key") == key(stage, notebook, snapshot)


def keep(stage: str, passed: Mapping[str, float], before: Snapshot) -> None:
    """Enter what passed and in which time, unless what it depends on changed while it ran."""
    after = take() if passed else {}
    built = stage != "book"  # which makes the pages
    for notebook, seconds in passed.items():
        if key(stage, notebook, before, built=built) == key(stage, notebook, after, built=built):
            path = place(stage, notebook)
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{os.getpid()}")
            entry = {"key": key(stage, notebook, after), "seconds": seconds}
            draft.write_text(sealed(entry), encoding="utf-8")
            os.replace(draft, path)


def longest_first(stage: str, notebooks: Sequence[str]) -> list[str]:
    """Order notebooks by the time that they took when they last passed, new ones first."""
    took = {name: entry_of(stage, name).get("seconds", "inf") for name in notebooks}
    return sorted(notebooks, key=lambda name: -float(str(took[name])))
