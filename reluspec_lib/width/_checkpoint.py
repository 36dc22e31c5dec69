"""A file that remembers which pieces of a long computation are done."""

from __future__ import annotations

import json
import os
import sys
import zlib
from pathlib import Path
from typing import Any

if sys.platform != "win32":
    import fcntl

__all__ = ["Checkpoint"]

# To be raised when the random streams or the tiles change: old draws then are of another sweep.
_FORMAT = "reluspec checkpoint 2"


class Checkpoint:
    """Results that survive the death of the process, one line of JSON each.

    The first line says what is computed. A result counts once its whole line, with the checksum at
    its end, is on the disk; the process may die at any instant. A line without its end is a result
    that was not finished, and is dropped. Anything else that does not fit is damage, or belongs to
    another computation, and is refused. One process at a time may write to a file. Files of the
    same computation may be joined, one after the other; of a result in both the first one counts.

    Parameters
    ----------
    path : str or PathLike
        The file; it is made if it is missing.
    settings : dict
        What is computed, in JSON types. A file made with others is refused.

    Raises
    ------
    ValueError
        If the file is damaged, belongs to another computation or is being written to.
    """

    def __init__(self, path: str | os.PathLike[str], settings: dict[str, Any]) -> None:
        self.path = Path(path)
        self.results: dict[str, list[float]] = {}
        head = {"format": _FORMAT, "settings": settings}
        # Unbuffered: what was written is with the system, whatever happens to this process.
        self._file = open(self.path, "a+b", buffering=0)  # noqa: SIM115
        try:
            self._lock()
            complete = self._read(head)
            self._file.truncate(complete)
            if not complete:
                self._write(head)
        except BaseException:
            self._file.close()
            raise

    def add(self, key: str, result: list[float]) -> None:
        """Store one result; when this returns it is on the disk."""
        self._write({"key": key, "result": result})
        self.results[key] = result

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, content: dict[str, Any]) -> None:
        line = memoryview(_line(content))
        # The system may take a part at a time, as when the disk becomes full.
        while line:
            line = line[self._file.write(line) :]
        os.fsync(self._file.fileno())

    def _lock(self) -> None:
        """Refuse a file that another process writes to; the lock ends with this process."""
        if sys.platform != "win32":
            try:
                # A lock of the process: workers that it forks, and that outlive it, do not hold it.
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                raise self._refusal("another process is writing to it") from None
            except OSError:
                pass  # A file system without locks.

    def _read(self, head: dict[str, Any]) -> int:
        """Take over what the file holds; return the length of its complete lines."""
        self._file.seek(0)
        content = self._file.readall()
        complete = content.rfind(b"\n") + 1
        if not complete and not _line(head).startswith(content):
            raise self._refusal("it is not a checkpoint")
        for number, line in enumerate(content[:complete].splitlines(keepends=True), 1):
            entry = _entry(line)
            if entry is None:
                raise self._refusal(f"line {number} is damaged" if number > 1 else "it is damaged")
            if number == 1 or "format" in entry:
                self._compare(entry, head)
            elif entry.keys() == {"key", "result"}:
                self.results.setdefault(entry["key"], entry["result"])
            else:
                raise self._refusal(f"line {number} is no result")
        return complete

    def _compare(self, found: dict[str, Any], head: dict[str, Any]) -> None:
        if found.get("format") != head["format"]:
            raise self._refusal(f"its format is {found.get('format')!r}, not {_FORMAT!r}")
        theirs, ours = found.get("settings", {}), json.loads(json.dumps(head["settings"]))
        for name in {**ours, **theirs}:
            if theirs.get(name) != ours.get(name):
                raise self._refusal(
                    f"it was made with {name} = {theirs.get(name)!r}, now {name} = "
                    f"{ours.get(name)!r}"
                )

    def _refusal(self, why: str) -> ValueError:
        return ValueError(
            f"checkpoint {str(self.path)!r} cannot be continued: {why}; "
            "give another path, or remove the file to start again"
        )


def _line(content: dict[str, Any]) -> bytes:
    text = json.dumps(content, sort_keys=True).encode()
    return b"%s %08x\n" % (text, zlib.crc32(text))


def _entry(line: bytes) -> dict[str, Any] | None:
    """Return what a complete line holds, or None if its checksum does not agree."""
    text, _, checksum = line.rstrip(b"\n").rpartition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    # A checksum alone does not make an entry: JSON that is no object is as good as damage.
    entry = json.loads(text)
    return entry if isinstance(entry, dict) else None
