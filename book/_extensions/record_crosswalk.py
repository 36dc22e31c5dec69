"""The crosswalk: every item of the paper and its address in the book."""

from __future__ import annotations

from collections.abc import Iterator

from docutils import nodes
from docutils.parsers.rst import directives
from paper_record import addresses, warn
from record_display import Display, Place
from record_nodes import Nodes, row, table, text

from tools.record import KINDS


class Crosswalk(Display):
    """Every item, or those of the kinds that the option names."""

    name, selects, fields = "crosswalk", "kind", ("title", "note")
    option_spec = {"kinds": directives.unchanged_required}  # noqa: RUF012 (docutils' interface)

    def select(self) -> Iterator[str]:
        """Yield the items of the kinds asked for."""
        kinds = self.options.get("kinds", "").split()
        for kind in set(kinds) - set(KINDS):
            warn(f"unknown kind {kind!r}", self.get_location())
        items = self.env.reluspec_statements
        return (name for name in super().select() if not kinds or items[name]["kind"] in kinds)

    @staticmethod
    def build(place: Place, statements: list[str]) -> nodes.Node:
        rows = []
        for statement in statements:
            links: Nodes = []
            pages: dict[str, tuple[str, str]] = {}
            for target in addresses(place.env, statement):
                pages.setdefault(target[0], target)
            for target in pages.values():
                links += [place.link_to_page(target), nodes.Text("; ")]
            note = list(place.parsed.get((statement, "note"), []))
            if relation := place.items[statement].get("relation"):
                css = f"relation-{relation.replace(' ', '-')}"
                note = [text(relation, "relation", css), nodes.Text(" "), *note]
            where = [*links[:-1], nodes.Text(" "), place.state(statement)]
            ident = f"paper-{statement}"
            rows.append(row(place.titled(statement), where, note, ident=ident, pending=not links))
        head = ["In the paper", "In the book", "What the book adds"]
        return table("From the paper to the book", "crosswalk-table", head, rows, [32, 28, 40])
