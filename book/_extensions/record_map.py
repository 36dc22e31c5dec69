"""What rests on what: the map of all statements, and the neighbours of one.

Both come from ``uses`` in ``statements.yml`` and from the record. An arrow leads from a statement
to one whose proof uses it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from docutils import nodes
from paper_record import addresses, state_of, telling_name
from record_display import Display, Place
from record_nodes import Nodes, paragraph, text

Uses = Mapping[str, Sequence[str]]

COLUMN, ROW, WIDTH, HEIGHT, MARGIN = 214, 62, 166, 46, 8
LINE = 22  # letters
SWEEPS = 12
#: States of the map, from its statement alone and with all that it rests on.
SOLID, ALONE, PARTLY = "verified, with all that it rests on", "verified", "partly verified"


def uses_of(items: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return what each statement of the record rests on, of those that are in the record."""
    verified = {statement for statement, item in items.items() if item.get("verify")}
    return {
        statement: [other for other in items[statement].get("uses", []) if other in verified]
        for statement in items
        if statement in verified
    }


def ancestors(uses: Uses, statement: str) -> set[str]:
    """Return all that a statement rests on, directly or not."""
    found: set[str] = set()
    waiting = list(uses[statement])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting.extend(uses[other])
    return found


def layers(uses: Uses) -> list[list[str]]:
    """Return the statements by the longest chain below them, ordered so that few arrows cross."""
    depth: dict[str, int] = {}

    def level(statement: str) -> int:
        if statement not in depth:
            depth[statement] = 1 + max((level(other) for other in uses[statement]), default=-1)
        return depth[statement]

    result: list[list[str]] = [[] for _ in range(1 + max(map(level, uses), default=-1))]
    for statement in uses:
        result[depth[statement]].append(statement)
    used: dict[str, list[str]] = {statement: [] for statement in uses}
    for statement, others in uses.items():
        for other in others:
            used[other].append(statement)
    for sweep in range(SWEEPS):
        near = uses if sweep % 2 == 0 else used
        place = {s: (k + 0.5) / len(layer) for layer in result for k, s in enumerate(layer)}
        for layer in result:
            mean = {
                s: sum(place[o] for o in near[s]) / len(near[s]) if near[s] else place[s]
                for s in layer
            }
            layer.sort(key=lambda s: (mean[s], s))
    return result


def map_state(place: Place, uses: Uses, statement: str) -> str:
    """Return whether a statement is verified, and whether all that it rests on is."""
    if state_of(place.env, statement) != "verified":
        return PARTLY
    below = ancestors(uses, statement)
    return SOLID if all(state_of(place.env, s) == "verified" for s in below) else ALONE


def box(x: float, y: float, name: str, state: str, target: str) -> str:
    """Return the box of a statement: a link, with the state in its class and its description."""
    lines = textwrap.wrap(name, LINE)[:3] or [name]
    middle = y + HEIGHT / 2 - 7.5 * (len(lines) - 1) + 4
    words = "".join(
        f'<tspan x="{x + WIDTH / 2:.0f}" y="{middle + 15 * k:.0f}">{escape(line)}</tspan>'
        for k, line in enumerate(lines)
    )
    kind = {SOLID: "solid", ALONE: "alone", PARTLY: "partly"}[state]
    drawn = (
        f'<rect class="map-{kind}" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="4"/>'
        f'<text text-anchor="middle">{words}</text>'
    )
    label = escape(f"{name}: {state}", quote=True)
    return f'<a href="{escape(target, quote=True)}" aria-label="{label}">{drawn}</a>'


class StatementMap(Display):
    name, selects = "statement-map", "verify"

    @staticmethod
    def build(place: Place, statements: list[str]) -> Nodes:
        uses = uses_of(place.items)
        columns = layers(uses)
        tallest = max((len(column) for column in columns), default=0)
        where = {
            statement: (
                MARGIN + COLUMN * k,
                MARGIN + ROW * (j + (tallest - len(column)) / 2),
            )
            for k, column in enumerate(columns)
            for j, statement in enumerate(column)
        }
        arrows = "".join(
            arrow(where[other], where[statement]) for statement in uses for other in uses[statement]
        )
        states = {statement: map_state(place, uses, statement) for statement in uses}
        boxes = "".join(
            box(*where[s], telling_name(place.items[s]), states[s], address(place, s))
            for column in columns
            for s in column
        )
        width = COLUMN * len(columns) - (COLUMN - WIDTH) + 2 * MARGIN
        height = ROW * tallest + MARGIN
        drawing = (
            '<div class="statement-map-box"><svg class="statement-map" role="group" '
            'aria-label="Map of the statements: which rests on which" '
            f'viewBox="0 0 {width} {height}" style="width:{width}px">'
            '<defs><marker id="map-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>'
            f'<g aria-hidden="true">{arrows}</g>{boxes}</svg></div>\n'
        )
        counts = ", ".join(
            f"{list(states.values()).count(state)} {state}" for state in (SOLID, ALONE, PARTLY)
        )
        said = f"{len(states)} statements: {counts}."
        return [nodes.raw("", drawing, format="html"), paragraph([nodes.Text(said)], "map-count")]


def arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    """Return a curve from the right side of one box to the left side of another."""
    x, y = start[0] + WIDTH, start[1] + HEIGHT / 2
    u, v = end[0] - 1, end[1] + HEIGHT / 2
    bend = max(24.0, (u - x) / 2)
    return (
        f'<path class="map-arrow" marker-end="url(#map-tip)" '
        f'd="M{x:.0f} {y:.0f}C{x + bend:.0f} {y:.0f} {u - bend:.0f} {v:.0f} {u:.0f} {v:.0f}"/>'
    )


def address(place: Place, statement: str) -> str:
    """Return where the book treats a statement, as seen from this page."""
    found = addresses(place.env, statement)
    if not found:
        return f"#verified-{statement}"
    docname, ident = found[0]
    uri: str = place.builder.get_relative_uri(place.env.docname, docname)
    return f"{uri}#{ident}" if ident else uri


def neighbours(place: Place, statement: str) -> nodes.paragraph | None:
    """Return the neighbours of a statement in the map: what it rests on, and what rests on it."""
    uses = uses_of(place.items)
    above = [other for other, needs in uses.items() if statement in needs]
    if not (uses.get(statement) or above):
        return None

    def linked(group: Iterable[str]) -> Nodes:
        result: Nodes = []
        for other in group:
            result += [
                nodes.Text(", ") if result else nodes.Text(""),
                place.link_to_statement(other),
            ]
        return result

    parts: Nodes = []
    if uses.get(statement):
        parts += [text("rests on ", "graph-word"), *linked(uses[statement])]
    if above:
        parts += [nodes.Text(" · ")] if parts else []
        parts += [text("carries ", "graph-word"), *linked(above)]
    return paragraph(parts, "verified-graph")
