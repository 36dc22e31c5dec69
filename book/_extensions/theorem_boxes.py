"""Theorems, proofs and exercises as valid HTML, under the numbers of the paper.

sphinx-proof and sphinx-exercise put the body of a statement into a section without a title, all
of them with one id, give one id to all proofs, and write that of an unnumbered statement twice.
Ids must differ within a page, readers of the page's outline find sections that have no name, and
sphinx-codeautolink stops at them. A box does what is needed.

Statements keep the numbers that they have in the paper, which is how they are cited: they are
unnumbered for Sphinx, and their title begins with the number.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx_proof.nodes import proof_node, unenumerable_node


class box(nodes.General, nodes.Element):
    """A ``div`` without an id, and without the ``container`` class of docutils."""


class TheoremBoxes(SphinxTransform):
    """Replace every section that has no title, and write the kind of a statement into its title."""

    # After sphinx-exercise has merged its directives, before the event doctree-read (880).
    default_priority = 870

    def apply(self, **kwargs: Any) -> None:
        """Replace them."""
        for section in list(self.document.findall(nodes.section)):
            if not isinstance(section.next_node(descend=True), nodes.title):
                inner = box("", *section.children)
                section.replace_self(inner)
                inner["ids"] = []  # docutils hands them on
        for proof in self.document.findall(proof_node):
            for admonition in proof.findall(nodes.admonition):
                admonition["ids"] = []  # all of them "proof"
        for statement in self.document.findall(unenumerable_node):
            title = statement.next_node(nodes.title)
            title["ids"] = []
            kind = statement["realtype"].title()
            title.insert(0, nodes.inline("", kind, classes=["caption-number"]))


def visit_box(self: Any, node: nodes.Element) -> None:
    """Open a box in HTML."""
    self.body.append(self.starttag(node, "div", "\n"))


def visit_statement(self: Any, node: nodes.Element) -> None:
    """Open an unnumbered statement in HTML."""
    self.body.append(self.starttag(node, "div", "\n", CLASS="admonition"))


def depart(self: Any, node: nodes.Element) -> None:
    """Close either in HTML."""
    self.body.append("</div>\n")


def skip(self: Any, node: nodes.Element) -> None:
    """Other builders show the children alone."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.setup_extension("sphinx_proof")
    others = dict.fromkeys(("latex", "text", "man", "texinfo"), (skip, skip))
    app.add_node(box, html=(visit_box, depart), **others)
    app.add_node(unenumerable_node, override=True, html=(visit_statement, depart), **others)
    app.add_transform(TheoremBoxes)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
