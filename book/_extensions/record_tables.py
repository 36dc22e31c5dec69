"""Tables from statements to their record: main results, verified, not verified."""

from __future__ import annotations

from docutils import nodes
from record_badge import VALUES
from record_display import Display, Place
from record_nodes import Nodes, certified, layer_status, number, paragraph, pills, row, table, text

from reluspec_lib.ledger import LAYERS


class StatusTable(Display):
    name, selects, fields = "status-table", "summary", ("title",)

    @staticmethod
    def build(place: Place, statements: list[str]) -> nodes.Node:
        rows = []
        for statement in statements:
            record = place.record(statement)
            if record:
                chapter = [place.link_to_chapter(statement)]
            else:
                missing = text("(no chapter yet)", "not-yet")
                chapter = [*place.parsed[statement, "title"], nodes.Text(" "), missing]
            status = paragraph(pills(record, long=False), "nowrap")
            name = [place.link_to_statement(statement, telling=True)]
            rows.append(row(name, chapter, status, pending=not record))
        head = ["Statement", "Chapter", "Verified"]
        return table("Results, chapters and status", "status-table", head, rows, [34, 46, 20])


class VerificationTable(Display):
    name, selects, fields = "verification-table", "verify", ("title", "claim", "assumptions")

    @classmethod
    def build(cls, place: Place, statements: list[str]) -> nodes.Node:
        rows = []
        for statement in statements:
            record = place.record(statement)
            what = cls.description(place, statement)
            cells: list[Nodes | nodes.Element]
            if record is None:
                cells = [
                    nodes.entry("", paragraph([text("no chapter yet", "not-yet")]), morecols=5)
                ]
            else:
                what.append(paragraph([place.link_to_chapter(statement)], "item-chapter"))
                cells = [*(cls.status(record, layer) for layer in LAYERS)]
                cells += [number(record.get(key)) for key in VALUES]
            ident = f"verified-{statement}"
            rows.append(row(nodes.entry("", *what), *cells, ident=ident, pending=not record))
        letters = [nodes.abbreviation("", k, explanation=word) for k, word in LAYERS.items()]
        head = ["Statement", *letters, *(word[0].upper() + word[1:] for word in VALUES.values())]
        label = "Verification of every statement"
        return table(label, "verification-table", head, rows, [40, 8, 8, 8, 12, 12, 12])

    @staticmethod
    def description(place: Place, statement: str) -> Nodes:
        """Return name and claim of a statement, what it assumes and which others it uses."""
        item, parsed = place.items[statement], place.parsed
        name: Nodes = [place.link_to_statement(statement)]
        if item.get("number"):
            title = nodes.inline("", "", *parsed[statement, "title"], classes=["item-title"])
            name += [nodes.Text(" "), title]
        ground: Nodes = []
        if (statement, "assumptions") in parsed:
            ground = [nodes.Text("Assumes "), *parsed[statement, "assumptions"], nodes.Text(". ")]
        for k, other in enumerate(item.get("uses", [])):
            link = place.link_to_statement(other, telling=True)
            ground += [nodes.Text("; " if k else "Uses "), link]
        if item.get("uses"):
            ground.append(nodes.Text("."))
        claim = paragraph(parsed[statement, "claim"], "item-claim")
        last = [paragraph(ground, "item-ground")] if ground else []
        return [paragraph(name, "item-name"), claim, *last]

    @staticmethod
    def status(record: dict[str, object], layer: str) -> nodes.entry:
        """Return the cell of one layer."""
        status = layer_status(record, layer)
        cell = [paragraph([text(status, "layer", f"layer-{status}")])]
        if layer == "N" and (count := certified(record)):
            cell.append(paragraph([text(count, "certified")]))
        return nodes.entry("", *cell)


class OpenTable(Display):
    name, selects, fields = "open-table", "state", ("title", "note")

    @staticmethod
    def build(place: Place, statements: list[str]) -> nodes.Node:
        rows = [
            row(
                place.titled(statement),
                [place.state(statement)],
                list(place.parsed.get((statement, "note"), [])),
                ident=f"open-{statement}",
            )
            for statement in statements
        ]
        head = ["Item", "State", "Note"]
        return table("What the book does not verify", "open-table", head, rows, [40, 15, 45])
