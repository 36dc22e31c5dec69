"""What the notebooks verified, and the two lists that it is held against.

The record is the ledgers that the stored notebooks show. ``book/record/statements.yml`` lists the
items of the paper and of the book, ``book/record/equations.yml`` the labelled equations that no
check covers, with the reason. The pages of the book are built from these, and tests demand that
they fit together. Run as a program, this module prints what does not.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import yaml

from reluspec_lib import ledger
from tools.settings import BOOK, find_notebooks

__all__ = [
    "CHECKED",
    "EQUATIONS",
    "KINDS",
    "STATEMENTS",
    "STATES",
    "Pooled",
    "Row",
    "circles",
    "covered",
    "labels",
    "load_equations",
    "load_statements",
    "pool",
    "problems",
    "records",
    "rows",
    "scores",
    "simulated",
]

STATEMENTS = BOOK / "record" / "statements.yml"
EQUATIONS = BOOK / "record" / "equations.yml"
BIBLIOGRAPHY = BOOK / "reference" / "references.bib"

#: Kinds of items in statements.yml, with the word that stands before their number.
KINDS = {
    "theorem": "Theorem",
    "lemma": "Lemma",
    "remark": "Remark",
    "equation": "Equation",
    "claim": "Claim",
    "table": "Table",
    "figure": "Figure",
    "section": "Section",
    "appendix": "Appendix",
    "limitation": "Limitation",
    "question": "Open question",
    "check": "Suggested check",
    "experiment": "Suggested experiment",
    "second": "Claim of the second source",
    "own": "Beyond the paper",
}
RELATIONS = {
    "corrects",
    "illustrates",
    "not comparable",
    "proves",
    "restores",
    "sharpens",
    "tests",
    "uses",
}
#: States of what the book does not verify; of the rest the ledgers say the state.
STATES = {"cited", "not treated", "open"}
KEYS = {
    "assumptions",
    "claim",
    "id",
    "kind",
    "note",
    "number",
    "relation",
    "see",
    "state",
    "summary",
    "title",
    "uses",
    "verify",
}
#: What an equation shows that no check covers, or none in full.
EQUATION_STATES = {"cited", "definition"}

#: Words for the checks of an equation, the strongest first; S, N, M and R are layers of a ledger.
CHECKED = {"C": "certified", "S": "symbolic", "N": "numeric", "M": "simulated", "R": "rate"}

Items = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """One check of the record, with where it stands."""

    chapter: str
    statement: str
    position: int
    check: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Letter of :data:`CHECKED`."""
        return "C" if self.check["certified"] else str(self.check["layer"])

    @property
    def anchor(self) -> str:
        """Id of the row in the page of its chapter."""
        return ledger.row_id(self.statement, self.position)


@dataclass(frozen=True)
class Pooled:
    """Distances of many simulated means from the stated ones, on the scale of a normal variable.

    Attributes
    ----------
    z : ndarray
        The distances.
    rms : float
        Their root mean square; about 1 where all statements are true.
    p : float
        Two-sided probability of a sum of squares as unlikely as theirs, if they were independent.
    """

    z: np.ndarray[Any, np.dtype[np.float64]]
    rms: float
    p: float


# --- reading --------------------------------------------------------------------------------


def load_statements(path: Path = STATEMENTS) -> Items:
    """Return the items by id, in the order of the file."""
    statements: Items = {}
    for item in yaml.safe_load(path.read_text(encoding="utf-8")):
        found = [f"unknown key {key!r}" for key in sorted(item.keys() - KEYS)]
        found += [f"no {key}" for key in ("id", "kind", "title") if not item.get(key)]
        allowed = {"kind": set(KINDS), "relation": RELATIONS, "state": STATES}
        found += [
            f"{key} {item[key]!r}, allowed are {sorted(values)}"
            for key, values in allowed.items()
            if key in item and item[key] not in values
        ]
        found += [
            f"{key} must be a list of strings"
            for key in ("assumptions", "see", "uses")
            if not all(isinstance(entry, str) for entry in _list(item.get(key, [])))
        ]
        if item.get("verify") and not item.get("claim"):
            found.append("to be verified, but without claim")
        if item.get("verify") and item.get("state"):
            found.append("to be verified, so that its ledger and not the file says its state")
        if item.get("id") in statements:
            found.append("id used twice")
        if found:
            raise ValueError(f"{path.name}: {item.get('id', item)}: {'; '.join(found)}")
        statements[item["id"]] = item
    return statements


def load_equations(path: Path = EQUATIONS) -> Items:
    """Return the equations that no check covers, by label."""
    equations: Items = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    for label, item in equations.items():
        found = [
            f"unknown key {key!r}" for key in sorted(item.keys() - {"state", "source", "note"})
        ]
        if item.get("state") not in EQUATION_STATES:
            found.append(f"state {item.get('state')!r}, allowed are {sorted(EQUATION_STATES)}")
        if item.get("state") == "cited" and not item.get("source"):
            found.append("cited, but without source")
        if not item.get("note"):
            found.append("no note")
        if found:
            raise ValueError(f"{path.name}: {label}: {'; '.join(found)}")
    return equations


def records(notebooks: Sequence[Path] | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Return the ledgers of the notebooks, each with the name of its chapter."""
    paths = find_notebooks() if notebooks is None else notebooks
    return [(path.stem, record) for path in paths for record in ledger.read(path)]


def rows(notebooks: Sequence[Path] | None = None) -> Iterator[Row]:
    """Yield every check of the record."""
    for chapter, record in records(notebooks):
        if record["version"] != ledger.VERSION:
            raise ValueError(
                f"{chapter}: a ledger of version {record['version']}, not {ledger.VERSION}: run "
                "make notebooks"
            )
        for position, check in enumerate(record["checks"], 1):
            yield Row(chapter, record["statement"], position, check)


def labels(pages: Sequence[Path] | None = None) -> dict[str, str]:
    """Return the labels of the book's equations, each with the name of its page."""
    if pages is None:
        pages = [*find_notebooks(), *sorted(BOOK.rglob("*.md"))]
    found: dict[str, str] = {}
    for path in pages:
        for label in re.findall(r"\$\$[ \t]*\(([^()\s]+)\)", _markdown(path)):
            if label in found:
                raise ValueError(f"equation {label!r} stands in {found[label]} and in {path.stem}")
            found[label] = path.stem
    return found


def covered(found: Sequence[Row]) -> dict[str, list[Row]]:
    """Return for each label of an equation the checks that cover it, the strongest first."""
    strength = {kind: k for k, kind in enumerate(CHECKED)}
    result: dict[str, list[Row]] = {}
    for row in sorted(found, key=lambda row: strength[row.kind]):
        for label in row.check["equations"]:
            result.setdefault(label, []).append(row)
    return result


def scores(path: Path) -> dict[str, Any] | None:
    """Return the stored mutation scores, or nothing where none are stored."""
    if not path.is_file():
        return None
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return stored


# --- what must hold -------------------------------------------------------------------------


def circles(statements: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return paths along ``uses`` that come back to where they began."""
    found: list[list[str]] = []
    done: set[str] = set()

    def follow(path: list[str]) -> None:
        for other in statements.get(path[-1], {}).get("uses", []):
            if other in path:
                found.append([*path[path.index(other) :], other])
            elif other not in done:
                follow([*path, other])
        done.add(path[-1])

    for statement in statements:
        if statement not in done:
            follow([statement])
    return found


def problems(
    statements: Items,
    equations: Items,
    found: Sequence[Row],
    marked: Mapping[str, str],
    sources: set[str],
) -> list[str]:
    """Return what does not fit together, a line for each.

    Parameters
    ----------
    statements, equations : dict
        The two lists.
    found : sequence of Row
        The checks of the record.
    marked : mapping
        Labels of the book's equations, each with its page.
    sources : set of str
        Keys of the bibliography.
    """
    cover = covered(found)
    lines = [
        f"{page}: equation {label} is covered by no check and not listed in {EQUATIONS.name}"
        for label, page in marked.items()
        if label not in cover and label not in equations
    ]
    lines += [
        f"{row.chapter}: check {row.check['name']!r} covers {label!r}, which is no equation"
        for label, those in cover.items()
        if label not in marked
        for row in those
    ]
    for label, item in equations.items():
        if label not in marked:
            lines.append(f"{EQUATIONS.name}: {label} is no equation of the book")
        if label in cover and item["state"] != "cited":
            lines.append(f"{EQUATIONS.name}: {label} is covered by {cover[label][0].anchor}")
        if item.get("source") and item["source"] not in sources:
            lines.append(f"{EQUATIONS.name}: {label}: no reference {item['source']!r}")
    verified = {row.statement for row in found}
    for name, item in statements.items():
        where = f"{STATEMENTS.name}: {name}"
        lines += [
            f"{where}: {key} names {other!r}, which is no statement"
            for key in ("uses", "see")
            for other in item.get(key, [])
            if other not in statements and not (key == "see" and other.startswith("book/"))
        ]
        if item.get("verify"):
            lines += [f"{where}: no {key}" for key in ("assumptions", "uses") if key not in item]
            if item.get("assumptions") == []:
                lines.append(f"{where}: no assumptions")
            if name not in verified:
                lines.append(f"{where}: to be verified, and no notebook has a ledger of it")
        elif name in verified:
            lines.append(f"{where}: a ledger, but not marked to be verified")
    lines += [f"ledger of {name!r}, which is no statement" for name in verified - set(statements)]
    lines += [f"{STATEMENTS.name}: circle {' -> '.join(path)}" for path in circles(statements)]
    return lines


# --- simulated checks taken together --------------------------------------------------------


def simulated(found: Sequence[Row]) -> list[tuple[float, int]]:
    """Return z and the number of draws of every simulated check."""
    return [
        (float(row.check["z"]), int(row.check["draws"]))
        for row in found
        if row.check["z"] is not None
    ]


def pool(values: Sequence[tuple[float, int]]) -> Pooled:
    """Take together distances in standard errors, each with its number of draws.

    The mean of n normal draws is Student's with n - 1 degrees of freedom away from its expectation,
    measured in standard errors; each distance is carried over to the normal variable of the same
    probability.
    """
    from scipy import special  # it takes longer to load than all the rest

    if not values:
        raise ValueError("values must hold at least one simulated check")
    t, draws = np.array(values, dtype=float).T
    # By the lower tail, where probabilities near 0 keep their digits.
    normal = -np.sign(t) * special.ndtri(special.stdtr(draws - 1, -np.abs(t)))
    square = float((normal**2).sum())
    tail = min(special.chdtr(len(normal), square), special.chdtrc(len(normal), square))
    return Pooled(normal, math.sqrt(square / len(normal)), float(2 * tail))


# --- as a program ---------------------------------------------------------------------------


def main() -> int:
    """Print what does not fit together; return 1 if something does not."""
    sources = set(re.findall(r"^@\w+\{([^,\s]+),", BIBLIOGRAPHY.read_text("utf-8"), re.MULTILINE))
    found = list(rows())
    lines = problems(load_statements(), load_equations(), found, labels(), sources)
    print(*lines, sep="\n" if lines else "")
    print(f"{len(found)} checks, {len(covered(found))} equations covered, {len(lines)} problems")
    return 1 if lines else 0


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [None]


def _markdown(path: Path) -> str:
    """Return the text of a page, or of the Markdown cells of a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = nbformat.reads(text, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


if __name__ == "__main__":
    sys.exit(main())
