"""The badge under a statement: what was verified of it, and how well."""

from __future__ import annotations

from collections.abc import Iterator

from docutils import nodes
from paper_record import telling_name, warn
from record_display import Display, Place, pages_of
from record_map import neighbours
from record_nodes import Nodes, certified, group, layer_status, number, paragraph, pills, text

from reluspec_lib.ledger import LAYERS

#: Values of a record that are shown, with their names.
VALUES = {"worst_error": "worst error", "sensitivity": "sensitivity", "rate": "rate"}


def explained(place: Place, word: str) -> nodes.Node:
    """Return a word, linked to the label of this name if there is one."""
    docname, ident = place.env.get_domain("std").anonlabels.get(word, ("", ""))
    return place.link((docname, ident), word) if docname else nodes.Text(word)


class Verified(Display):
    required_arguments = 1
    name = "verified"

    def select(self) -> Iterator[str]:
        """Yield the statement named by the author, if there is one of this id."""
        statement = self.arguments[0].strip()
        if statement in self.env.reluspec_statements:
            yield statement
        else:
            warn(f"badge of {statement!r}, which statements.yml does not list", self.get_location())

    @staticmethod
    def build(place: Place, statements: list[str]) -> Nodes:
        if not statements:
            return []
        (statement,) = statements
        record = place.record(statement)
        if record is None:
            lead = "Not verified yet"
        else:
            complete = all(layer_status(record, layer) == "passed" for layer in LAYERS)
            lead = "Verified" if complete else "Partly verified"
        first = [text(lead, "verified-lead"), nodes.Text(" "), *pills(record, long=True)]
        children: Nodes = [paragraph(first, "verified-layers")]
        values: Nodes = []
        for key, title in VALUES.items():
            if record and record.get(key) is not None:
                # One piece each, so that a line breaks between them.
                value = [explained(place, title), nodes.Text(" "), *number(record[key])]
                values += [nodes.inline("", "", *value, classes=["nowrap"]), nodes.Text(" · ")]
        if record and (count := certified(record)):
            values += [text(count, "nowrap", "certified"), nodes.Text(" · ")]
        for docname, shown in pages_of(place.env).items():
            if statement in shown.get("verification-table", []):
                values.append(place.link((docname, f"verified-{statement}"), "full record"))
                break
        if values:
            children.append(paragraph(values, "verified-values"))
        children += neighbours(place, statement)
        label = f"Verification of {telling_name(place.items[statement])}"
        return [group("", *children, classes=["verified"], role="group", label=label)]
