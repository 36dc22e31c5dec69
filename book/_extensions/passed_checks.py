"""Runs of checks that passed, folded into one line that counts them.

Each check of a ledger prints a line. A cell that makes a dozen of them fills a screen with what is
in the table at the end of the chapter anyway. In the built pages such a run is one line, which
opens to the lines; the stored outputs, which the tests compare, stay as they are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from tools.record import CHECKED

LINE = re.compile(r"(?P<layer>[SNMR]) (?P<how>passed|certified): ")
FEWEST = 2


class passed_checks(nodes.General, nodes.Element):
    """Lines of checks behind a line that counts them."""


def summary(lines: list[str]) -> str:
    """Return how many checks passed, and of which kinds."""
    found = [match for line in lines if (match := LINE.match(line))]
    counts = Counter("C" if match["how"] == "certified" else match["layer"] for match in found)
    kinds = ", ".join(f"{counts[kind]} {CHECKED[kind]}" for kind in CHECKED if counts[kind])
    return f"{len(lines)} checks passed: {kinds}"


def with_text(block: nodes.literal_block, lines: list[str]) -> nodes.literal_block:
    """Return a block like another one with these lines; those of checks may be broken."""
    text = "\n".join(lines)
    new: nodes.literal_block = block.copy()
    new["classes"] = [*block["classes"], *(["check-lines"] if LINE.match(lines[0]) else [])]
    new.rawsource = text
    new.append(nodes.Text(text))
    return new


def runs(blocks: list[nodes.literal_block]) -> Iterator[list[tuple[nodes.literal_block, str]]]:
    """Yield the lines of neighbouring blocks with their block, cut where checks begin and end."""
    found: list[tuple[nodes.literal_block, str]] = []
    for block in blocks:
        for line in block.astext().rstrip("\n").split("\n"):
            if found and bool(LINE.match(found[-1][1])) != bool(LINE.match(line)):
                yield found
                found = []
            found.append((block, line))
    yield found


def folded(blocks: list[nodes.literal_block]) -> list[nodes.Element]:
    """Return what neighbouring blocks of printed text become."""
    result: list[nodes.Element] = []
    for run in runs(blocks):
        lines = [line for _, line in run]
        own = dict.fromkeys(block for block, _ in run)
        parts = [with_text(block, [line for of, line in run if of is block]) for block in own]
        if len(lines) >= FEWEST and LINE.match(lines[0]):
            result.append(passed_checks("", *parts, summary=summary(lines)))
        else:
            result += parts
    return result


def is_text(node: nodes.Node) -> bool:
    """Return whether a node is text that a cell printed or returned."""
    return isinstance(node, nodes.literal_block) and "output" in node["classes"]


class FoldChecks(SphinxPostTransform):
    """Fold the runs in the outputs of every cell."""

    # After myst-nb has chosen what is shown of each output (4).
    default_priority = 100
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Replace the blocks."""
        for cell in list(self.document.findall(nodes.container)):
            if cell.get("nb_element") == "cell_code_output":
                children: list[nodes.Node] = []
                blocks: list[nodes.literal_block] = []
                for child in [*cell.children, None]:
                    if child is not None and is_text(child):
                        blocks.append(child)
                        continue
                    children += folded(blocks) if blocks else []
                    children += [] if child is None else [child]
                    blocks = []
                cell.children = []
                cell.extend(children)


def visit(translator: Any, node: passed_checks) -> None:
    """Open the details, in the look of folded code."""
    translator.body.append(
        '<details class="admonition hide above-output passed-checks"><summary>\n'
        f'<p class="admonition-title">{node["summary"]}</p>\n</summary>\n'
    )


def depart(translator: Any, node: passed_checks) -> None:
    """Close them."""
    translator.body.append("</details>\n")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_node(passed_checks, html=(visit, depart))
    app.add_post_transform(FoldChecks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
