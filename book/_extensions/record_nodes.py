"""Pieces of the displays of the record: texts, values of a ledger, states of a check, tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from docutils import nodes

from reluspec_lib.ledger import LAYERS

Nodes = list[nodes.Node]


class group(nodes.General, nodes.Element):
    """A ``div`` with a role and a label, and without the ``container`` class of docutils."""


def text(value: str, *classes: str) -> nodes.inline:
    """Return a piece of text with CSS classes."""
    return nodes.inline("", value, classes=list(classes))


def paragraph(children: Iterable[nodes.Node], *classes: str) -> nodes.paragraph:
    """Return a paragraph with CSS classes."""
    return nodes.paragraph("", "", *children, classes=list(classes))


def number(value: Any) -> Nodes:
    """Return a ledger's value as typeset text: a percentage, powers of ten, a fitted exponent."""
    if value is None:
        return [text("none", "no-value")]
    if isinstance(value, int | float):
        return [nodes.Text(f"{100 * value:.2g} %")]
    fitted = re.search(r"(-?[\d.]+) (?:±|\+-) ([\d.]+)", value)
    if fitted:
        return [nodes.Text(f"{fitted[1]} ± {fitted[2]}".replace("-", "−"))]
    result: Nodes = []
    pieces = re.split(r"(\d+(?:\.\d+)?)e([+-]?\d+)", value.replace("<=", "≤"))
    for before, mantissa, exponent in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=False):
        times = "" if float(mantissa) == 1 else f"{mantissa} × "
        power = nodes.superscript("", f"{int(exponent)}".replace("-", "−"))
        result += [nodes.Text(f"{before}{times}10"), power]
    return result + ([nodes.Text(pieces[-1])] if pieces[-1] else [])


def layer_status(record: dict[str, Any] | None, layer: str) -> str:
    """Return 'passed', 'missing' or 'not yet' for one layer of a statement."""
    return record["status"].get(layer, "missing") if record else "not yet"


def pills(record: dict[str, Any] | None, *, long: bool) -> Nodes:
    """Return the status of each layer: shape, word and colour, the word always in the text.

    Spaces stand between them, so that lines can break.
    """
    result: Nodes = []
    for layer, name in LAYERS.items():
        status = layer_status(record, layer)
        word = text(f" {name} {status}", *([] if long else ["visually-hidden"]))
        classes = ["layer", "layer-" + status.replace(" ", "-")]
        pill = nodes.inline("", "", text(layer, "layer-letter"), word, classes=classes)
        result += [pill, nodes.Text(" ")]
    return result[:-1]


def certified(record: dict[str, Any]) -> str:
    """Return how many checks of a ledger are certified, in words, or nothing."""
    count = sum(check["certified"] for check in record["checks"])
    return f"{count} certified" if count else ""


def row(*cells: Nodes | nodes.Element, ident: str = "", pending: bool = False) -> nodes.row:
    """Return a row; a cell is an entry, a paragraph, or what stands in one."""
    entries = []
    for cell in cells:
        inner = paragraph(cell) if isinstance(cell, list) else cell
        entries.append(inner if isinstance(inner, nodes.entry) else nodes.entry("", inner))
    classes = ["row-pending"] if pending else []
    return nodes.row("", *entries, ids=[ident] if ident else [], classes=classes)


def table(
    label: str, css: str, head: Sequence[str | nodes.Node], rows: list[nodes.row], widths: list[int]
) -> nodes.Element:
    """Return a table in a box that scrolls, named for those who do not see it."""
    columns = [nodes.colspec(colwidth=width) for width in widths]
    titles = row(*([nodes.Text(cell) if isinstance(cell, str) else cell] for cell in head))
    parts = [*columns, nodes.thead("", titles), nodes.tbody("", *rows)]
    # jupyter-book numbers tables that have captions; these have a label instead.
    classes = [css, "reluspec-table"]
    inner = nodes.table("", nodes.tgroup("", *parts, cols=len(widths)), classes=classes)
    return group("", inner, classes=[f"{css}-box"], role="group", label=label)


def visit_group(self: Any, node: nodes.Element) -> None:
    """Open a group in HTML."""
    attributes = {"role": node["role"], "aria-label": node["label"]}
    self.body.append(self.starttag(node, "div", "\n", **attributes))
