"""What a notebook stores of a ledger: its text, its table and a machine-readable copy.

A row of the table has an id, :func:`row_id`, to link to; :func:`read` finds the copies again in the
stored notebook.
"""

from __future__ import annotations

import html
import json
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

from reluspec_lib._check import Check, short
from reluspec_lib.ledger import LAYERS, Ledger

__all__ = ["MIME_TYPE", "VERSION", "bundle", "read", "record", "row_id", "table", "text"]

#: Type under which a notebook stores a ledger.
MIME_TYPE = "application/vnd.reluspec.ledger+json"

#: Version of the record that a notebook stores.
VERSION = 2

_NAMES = LAYERS | {"R": "rate"}
_COLUMNS = ("Layer", "Check", "Result", "Error", "Sensitivity")


def read(path: str | PathLike[str]) -> list[dict[str, Any]]:
    """Return the records of the ledgers that a stored notebook shows, in its order.

    Parameters
    ----------
    path : path-like
        A notebook file.

    Returns
    -------
    list of dict
        As :func:`record` gives them.

    Raises
    ------
    ValueError
        If the file is not a notebook.
    """
    try:
        cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", ())]
        bundles = [output.get("data", {}) for output in outputs]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"path must be a notebook, got {path}: {error!r}") from None
    return [bundle[MIME_TYPE] for bundle in bundles if MIME_TYPE in bundle]


def row_id(statement: str, position: int) -> str:
    """Return the id of a row in the table of a ledger.

    Parameters
    ----------
    statement : str
        Identifier of the statement.
    position : int
        Place of the check in the ledger, counted from 1.

    Returns
    -------
    str

    Examples
    --------
    >>> row_id("theorem-3-1", 2)
    'check-theorem-3-1-2'
    """
    return f"check-{statement}-{position}"


def record(ledger: Ledger) -> dict[str, Any]:
    """Return the machine-readable record of a ledger.

    Returns
    -------
    dict
        Keys version, statement, status (per layer "passed" or "missing"), worst_error (of layer N),
        sensitivity (worst of layer M), rate, checks.
    """

    def of(layer: str) -> list[Check]:
        return [check for check in ledger.checks if check.layer == layer]

    errors = [check.error for check in of("N") if check.error]
    sensitivities = [check.sensitivity or 0.0 for check in of("M")]
    rates = [check.result for check in of("R")]
    return {
        "version": VERSION,
        "statement": ledger.statement,
        "status": {layer: "passed" if of(layer) else "missing" for layer in LAYERS},
        "worst_error": max(errors, key=lambda shown: float(shown.removeprefix("≤ ")), default=None),
        "sensitivity": max(sensitivities, default=None),
        "rate": rates[0] if rates else None,
        "checks": [asdict(check) | {"equations": list(check.equations)} for check in ledger.checks],
    }


def text(ledger: Ledger) -> str:
    """Return a line for the statement, and one for each of its checks."""
    lines = [f"{ledger.statement}: {_summary(ledger)}"]
    return "\n".join(lines + [f"  {check!r}" for check in ledger.checks])


def table(ledger: Ledger) -> str:
    """Return the checks of a ledger as a table in HTML."""
    head = "".join(f'<th scope="col">{title}</th>' for title in _COLUMNS)
    rows = (_row(check, row_id(ledger.statement, k)) for k, check in enumerate(ledger.checks, 1))
    return (
        f'<table class="reluspec-ledger"><caption>{html.escape(ledger.statement)}: '
        f"{_summary(ledger)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def bundle(ledger: Ledger) -> dict[str, Any]:
    """Return all three, by type, as a notebook stores them."""
    return {MIME_TYPE: record(ledger), "text/html": table(ledger), "text/plain": text(ledger)}


def _summary(ledger: Ledger) -> str:
    status = record(ledger)["status"]
    return ", ".join(f"{name} {status[layer]}" for layer, name in LAYERS.items())


def _row(check: Check, ident: str) -> str:
    """Return a row of the table, with a mark on what is certified."""
    mark = ', <span class="certified">certified</span>' if check.certified else ""
    sensitivity = "" if check.sensitivity is None else short(check.sensitivity)
    cells = (
        f'<abbr title="{_NAMES[check.layer]}">{check.layer}</abbr>',
        html.escape(check.name),
        html.escape(check.result) + mark,
        html.escape(check.error),
        "exact" if check.sensitivity == 0 else sensitivity,
    )
    return f'<tr id="{html.escape(ident)}">{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
