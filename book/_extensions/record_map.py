"""What rests on what: the map of all statements, and the neighbours of one.

Both come from ``uses`` in ``statements.yml`` and from the record. An arrow leads from a statement
to one whose proof uses it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from docutils import nodes
from paper_record import addresses, state_of, telling_name
from record_display import Display, Place
from record_nodes import Nodes, paragraph, text

Uses = Mapping[str, Sequence[str]]


class Size(NamedTuple):
    """How large the boxes of a drawing are: width, height, space between, letters of a line."""

    width: int
    height: int
    gap: int
    letters: int


LARGE = Size(166, 46, 16, 22)
SMALL = Size(104, 46, 8, 15)  # three of them beside each other fit on a phone
LINES = 3  # of a name in a box
COLUMN, MARGIN = 214, 8
SIDE_BY_SIDE = 3  # boxes in a row
BETWEEN, EDGE = 28, 6  # pixels between a statement and its neighbours, and around all of them
NEAR = SIDE_BY_SIDE * (SMALL.width + SMALL.gap) - SMALL.gap + 2 * EDGE  # width of that drawing
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


def box(x: float, y: float, name: str, state: str, target: str = "", size: Size = LARGE) -> str:
    """Return the box of a statement: a link, with the state in its class and its description.

    Without a target it is the statement under which the drawing stands.
    """
    lines = textwrap.wrap(name, size.letters, max_lines=LINES, placeholder=" …") or [name]
    middle = y + size.height / 2 - 7 * (len(lines) - 1) + 4
    words = " ".join(
        f'<tspan x="{x + size.width / 2:.0f}" y="{middle + 14 * k:.0f}">{escape(line)}</tspan>'
        for k, line in enumerate(lines)
    )
    kind = {SOLID: "solid", ALONE: "alone", PARTLY: "partly"}[state]
    drawn = (
        f'<rect class="map-{kind}" x="{x:g}" y="{y:g}" width="{size.width}" '
        f'height="{size.height}" rx="4"/><text text-anchor="middle">{words}</text>'
    )
    if not target:
        return f'<g class="map-here">{drawn}</g>'
    label = escape(f"{name}: {state}", quote=True)
    return f'<a href="{escape(target, quote=True)}" aria-label="{label}">{drawn}</a>'


def drawing(arrows: str, boxes: str, label: str, tip: str, width: float, height: float) -> str:
    """Return the drawing as SVG: arrows, which end in a tip of this name, behind boxes."""
    return (
        f'<svg class="statement-map" role="group" aria-label="{escape(label, quote=True)}" '
        f'viewBox="0 0 {width:g} {height:g}" style="width:{width:g}px">'
        f'<defs><marker id="{tip}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>'
        f'<g aria-hidden="true" marker-end="url(#{tip})">{arrows}</g>{boxes}</svg>'
    )


class StatementMap(Display):
    name, selects = "statement-map", "verify"

    @staticmethod
    def build(place: Place, statements: list[str]) -> Nodes:
        uses = uses_of(place.items)
        columns = layers(uses)
        tallest = max((len(column) for column in columns), default=0)
        row = LARGE.height + LARGE.gap
        where = {
            statement: (
                MARGIN + COLUMN * k,
                MARGIN + row * (j + (tallest - len(column)) / 2),
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
        drawn = drawing(
            arrows,
            boxes,
            "Map of the statements: which rests on which",
            "map-tip",
            COLUMN * len(columns) - (COLUMN - LARGE.width) + 2 * MARGIN,
            row * tallest + MARGIN,
        )
        shown = f'<div class="statement-map-box">{drawn}</div>\n'
        counts = ", ".join(
            f"{list(states.values()).count(state)} {state}" for state in (SOLID, ALONE, PARTLY)
        )
        said = f"{len(states)} statements: {counts}."
        return [nodes.raw("", shown, format="html"), paragraph([nodes.Text(said)], "map-count")]


def arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    """Return a curve from the right side of one box of the map to the left side of another."""
    x, y = start[0] + LARGE.width, start[1] + LARGE.height / 2
    u, v = end[0] - 1, end[1] + LARGE.height / 2
    bend = max(24.0, (u - x) / 2)
    return curve(f"M{x:.0f} {y:.0f}C{x + bend:.0f} {y:.0f} {u - bend:.0f} {v:.0f} {u:.0f} {v:.0f}")


def arrow_down(start: tuple[float, float], end: tuple[float, float]) -> str:
    """Return a curve from one point down to another."""
    (x, y), (u, v) = start, (end[0], end[1] - 1)
    bend = BETWEEN / 2
    return curve(f"M{x:.0f} {y:.0f}C{x:.0f} {y + bend:.0f} {u:.0f} {v - bend:.0f} {u:.0f} {v:.0f}")


def curve(outline: str) -> str:
    """Return an arrow."""
    return f'<path class="map-arrow" d="{outline}"/>'


def address(place: Place, statement: str) -> str:
    """Return where the book treats a statement, as seen from this page."""
    found = addresses(place.env, statement)
    if not found:
        return f"#verified-{statement}"
    docname, ident = found[0]
    uri: str = place.builder.get_relative_uri(place.env.docname, docname)
    return f"{uri}#{ident}" if ident else uri


def near(uses: Uses, statement: str) -> tuple[list[str], list[str]]:
    """Return what a statement rests on, and what rests on it."""
    return list(uses.get(statement, [])), [o for o, needs in uses.items() if statement in needs]


def neighbours(place: Place, statement: str) -> Nodes:
    """Return the neighbours of a statement in the map: drawn for the screen, in words for paper."""
    uses = uses_of(place.items)
    below, above = near(uses, statement)
    if not (below or above):
        return []

    def linked(group: Iterable[str]) -> Nodes:
        result: Nodes = []
        for other in group:
            result += [
                nodes.Text(", ") if result else nodes.Text(""),
                place.link_to_statement(other, telling=True),
            ]
        return result

    parts: Nodes = []
    if below:
        parts += [text("rests on ", "graph-word"), *linked(below)]
    if above:
        parts += [nodes.Text(" · ")] if parts else []
        parts += [text("carries ", "graph-word"), *linked(above)]
    said = ["Above: what it rests on."] * bool(below) + ["Below: what rests on it."] * bool(above)
    return [
        nodes.raw("", draw_near(place, uses, statement, below, above), format="html"),
        paragraph([nodes.Text(" ".join(said))], "near-caption"),
        paragraph(parts, "verified-graph"),
    ]


def draw_near(
    place: Place, uses: Uses, statement: str, below: Sequence[str], above: Sequence[str]
) -> str:
    """Return the drawing of a statement between what it rests on and what rests on it."""
    where, bottom = near_places(statement, below, above)
    boxes = "".join(
        box(
            *where[s],
            telling_name(place.items[s]),
            map_state(place, uses, s),
            "" if s == statement else address(place, s),
            SMALL,
        )
        for s in where
    )
    x, y = where[statement]
    middle = x + SMALL.width / 2
    arrows = [arrow_down((u, low), (middle, y)) for u, _, low in ends(where, below)]
    start = (middle, y + SMALL.height)
    arrows += [arrow_down(start, (u, high)) for u, high, _ in ends(where, above)]
    frames = "".join(frame(where, group) for group in (below, above))
    name = telling_name(place.items[statement])
    label = f"What {name} rests on, and what rests on it"
    return drawing("".join(arrows), frames + boxes, label, f"tip-{statement}", NEAR, bottom)


def ends(
    where: Mapping[str, tuple[float, float]], group: Sequence[str]
) -> list[tuple[float, float, float]]:
    """Return where arrows of a group of neighbours end: their middle, and their two heights.

    Each box of one row has an arrow; several rows have one together, at the frame around them.
    """
    rows = {where[s][1] for s in group}
    if len(rows) > 1:
        # One pixel inside the drawing, as its line has a width.
        return [(NEAR / 2, min(rows) - EDGE + 1, max(rows) + SMALL.height + EDGE - 1)]
    points = (where[s] for s in group)
    return [(x + SMALL.width / 2, y, y + SMALL.height) for x, y in points]


def frame(where: Mapping[str, tuple[float, float]], group: Sequence[str]) -> str:
    """Return the frame around neighbours that stand in several rows."""
    if len({where[s][1] for s in group}) < 2:
        return ""
    [(_, high, low)] = ends(where, group)
    return f'<path class="map-frame" d="M1 {high:g}H{NEAR - 1}V{low:g}H1Z"/>'


def near_places(
    statement: str, below: Sequence[str], above: Sequence[str]
) -> tuple[dict[str, tuple[float, float]], float]:
    """Return where the boxes of a statement and its neighbours stand, and the height they take."""
    where: dict[str, tuple[float, float]] = {}
    y = float(EDGE)
    for group in (below, [statement], above):
        for k in range(0, len(group), SIDE_BY_SIDE):
            row = group[k : k + SIDE_BY_SIDE]
            step = SMALL.width + SMALL.gap
            left = EDGE + step * (SIDE_BY_SIDE - len(row)) / 2
            where |= {s: (left + step * j, y) for j, s in enumerate(row)}
            y += SMALL.height + SMALL.gap
        y += BETWEEN - SMALL.gap if group else 0
    return where, y - BETWEEN + EDGE
