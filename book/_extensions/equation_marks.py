"""The number of an equation leads to the check that covers it, or says why there is none.

Data come from :mod:`paper_record`: checks name the equations that they cover, and
``book/record/equations.yml`` lists those that are definitions, or cited, in part or in full.
"""

from __future__ import annotations

import html
from collections import Counter
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from tools.record import CHECKED, Row


def summary(rows: list[Row]) -> str:
    """Return in words which checks cover an equation."""
    counts = Counter(row.kind for row in rows)
    return "checked: " + ", ".join(
        f"{counts[kind]} {word}" for kind, word in CHECKED.items() if counts[kind]
    )


def mark(translator: Any, label: str, number: str) -> str:
    """Return the number of an equation with what is known of it, as HTML."""
    env, builder = translator.builder.env, translator.builder
    rows = env.reluspec_covered.get(label)
    item = env.reluspec_equations.get(label)
    if item is None and not rows:
        item = {"state": "unchecked", "note": "no check covers it"}
    state = ""
    if item is not None:
        about = html.escape(item["note"])
        state = f'<span class="equation-state" title="{about}">{item["state"]}</span>'
    if rows:
        target = env.reluspec_chapters[rows[0].chapter]
        page = builder.get_relative_uri(builder.current_docname, target)
        about = html.escape(summary(rows))
        return (
            f'<a class="equation-checked" href="{page}#{rows[0].anchor}" title="{about}" '
            f'aria-label="Equation {number}, {about}">({number})</a>{state}'
        )
    return f"({number}){state}"


def visit_math_block(self: Any, node: nodes.Element, math_env: str = "") -> None:
    """Typeset a formula as Sphinx does, and make its number a link."""
    start = len(self.body)
    try:
        HTML5Translator.visit_math_block(self, node, math_env)
    finally:  # the renderer leaves by an exception
        if node.get("number") and node.get("label"):
            opening = '<span class="eqno">('
            for k in range(start, len(self.body)):
                if self.body[k].startswith(opening):
                    number = self.body[k].removeprefix(opening).removesuffix(")")
                    self.body[k] = '<span class="eqno">' + mark(self, node["label"], number)


def depart_math_block(self: Any, node: nodes.Element) -> None:
    """Do nothing: the renderer closed what it opened."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_node(nodes.math_block, override=True, html=(visit_math_block, depart_math_block))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
