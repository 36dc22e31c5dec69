"""Displays of the record: a placeholder while pages are read, what it stands for afterwards.

Chapters, with their titles, numbers and ledgers, are known only when every page has been read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from paper_record import addresses, chapter_title, name_of, state_of, telling_name
from record_nodes import Nodes, text
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from tools.record import STATEMENTS


class placeholder(nodes.General, nodes.Element):
    """Stands for a display; holds the parsed claims and notes until they are placed."""


class Place:
    """A page that shows statements, with the texts that were parsed for it."""

    def __init__(self, transform: SphinxPostTransform, parsed: dict[tuple[str, str], Nodes]):
        self.builder, self.env = transform.app.builder, transform.env
        self.parsed = parsed
        self.items: dict[str, dict[str, Any]] = self.env.reluspec_statements

    def record(self, statement: str) -> dict[str, Any] | None:
        """Return the ledger of a statement."""
        return self.env.reluspec_ledgers.get(statement, (None, None))[1]

    def link(self, target: tuple[str, str], shown: str) -> nodes.Node:
        """Return a reference to a page and anchor."""
        inner = nodes.inline("", "", nodes.Text(shown))
        docname, ident = target
        return make_refnode(self.builder, self.env.docname, docname, ident or None, inner)

    def link_to_statement(self, statement: str, *, telling: bool = False) -> nodes.Node:
        """Return the name of a statement, linked to where the book states it."""
        item, found = self.items[statement], addresses(self.env, statement)
        name = telling_name(item) if telling else name_of(item)
        return self.link(found[0], name) if found else text(name)

    def link_to_page(self, target: tuple[str, str]) -> nodes.Node:
        """Return the title of a page, linked to an anchor in it."""
        return self.link(target, chapter_title(self.env, target[0]))

    def link_to_chapter(self, statement: str) -> nodes.Node:
        """Return a link to the chapter that verifies a statement."""
        return self.link_to_page((self.env.reluspec_ledgers[statement][0], ""))

    def titled(self, statement: str) -> Nodes:
        """Return the name of an item with its title."""
        item, title = self.items[statement], self.parsed[statement, "title"]
        if not item.get("number"):
            return list(title)
        return [text(name_of(item), "item-name"), nodes.Text(" "), *title]

    def state(self, statement: str) -> nodes.inline:
        """Return the state of an item as a word."""
        state = state_of(self.env, statement)
        return text(state, "state", f"state-{state.replace(' ', '-')}")


class Display(SphinxDirective):
    """Base of the directives: items that have the key ``selects``, and texts parsed with them.

    ``build`` makes of a place and its statements what is shown.
    """

    name, selects = "", ""
    fields: tuple[str, ...] = ()
    known: dict[str, type[Display]] = {}  # noqa: RUF012 (all of them, by name)

    def __init_subclass__(cls) -> None:
        Display.known[cls.name] = cls

    def select(self) -> Iterator[str]:
        """Yield the ids of the statements to show, in order."""
        items = self.env.reluspec_statements.items()
        return (statement for statement, item in items if item.get(self.selects))

    def run(self) -> Nodes:
        """Return the placeholder."""
        self.env.note_dependency(str(STATEMENTS))
        selected = list(self.select())
        shown = pages_of(self.env).setdefault(self.env.docname, {})
        shown.setdefault(self.name, []).extend(selected)
        node = placeholder(display=self.name, statements=selected)
        self.set_source_info(node)
        for statement in selected:
            for field in self.fields:
                text = self.env.reluspec_statements[statement].get(field)
                text = "; ".join(text) if isinstance(text, list) else text
                if text:
                    # Parsed here, so that Sphinx sees the page's formulas and citations.
                    children, _ = self.state.inline_text(text, self.lineno)
                    node += nodes.inline("", "", *children, statement=statement, field=field)
        return [node]


class Resolve(SphinxPostTransform):
    """Replace the placeholders when every page has been read."""

    # Before Sphinx resolves references (10), since claims and notes may hold some.
    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        """Replace every placeholder of the page."""
        for node in list(self.document.findall(placeholder)):
            parsed = {(c["statement"], c["field"]): c.children for c in node.children}
            build = Display.known[node["display"]].build
            node.replace_self(build(Place(self, parsed), node["statements"]))


def pages_of(env: BuildEnvironment) -> dict[str, dict[str, list[str]]]:
    """Return which statements each page shows, by kind of display."""
    if not hasattr(env, "reluspec_pages"):
        env.reluspec_pages = {}
    pages: dict[str, dict[str, list[str]]] = env.reluspec_pages
    return pages


def purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forget a page that is read again."""
    pages_of(env).pop(docname, None)


def merge(app: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment) -> None:
    """Take over what a parallel reader recorded."""
    found = pages_of(other)
    pages_of(env).update({name: found[name] for name in docnames if name in found})
