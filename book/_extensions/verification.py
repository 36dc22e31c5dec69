"""What the book verified, shown from the record: badges, the verification page, the crosswalk.

Directives, with data from :mod:`paper_record` and nothing typed twice::

    :::{verified} theorem-3-1     the badge, under the statement in its chapter
    :::
    :::{verification-table}       every statement that can be verified, with its record
    :::
    :::{status-table}             the main results: chapter and status, for the landing page
    :::
    :::{open-table}               what the book does not verify, and why
    :::
    :::{crosswalk}                every item of the paper and its address in the book
    :kinds: theorem lemma         only items of these kinds
    :::
    :::{pooled-z}                 all simulated checks taken together
    :::
    :::{mutation-scores}          how many mutants of each module the unit tests kill
    :::

The numbers of equations link to the checks that cover them (:mod:`equation_marks`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import paper_record
from docutils import nodes
from docutils.parsers.rst import directives
from paper_record import (
    KINDS,
    STATEMENTS,
    addresses,
    chapter_title,
    name_of,
    state_of,
    warn,
)
from record_figures import pooled_figure
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from reluspec_lib.ledger import LAYERS
from tools.mutants import digest, modules
from tools.record import pool

VALUES = {"worst_error": "worst error", "sensitivity": "sensitivity", "rate": "rate"}


# --- directives: a placeholder while reading, since chapters are known only afterwards --------


class placeholder(nodes.General, nodes.Element):
    """Stands for a badge or table; holds the parsed claims and notes until they are placed."""


class group(nodes.General, nodes.Element):
    """A ``div`` with a role and a label, and without the ``container`` class of docutils."""


class Display(SphinxDirective):
    """Base of the directives of this extension."""

    has_content = False
    show = ""
    fields: tuple[str, ...] = ()

    def select(self) -> Iterator[str]:
        """Yield the ids of the statements to show, in order."""
        return (i for i, item in self.env.reluspec_statements.items() if self.wanted(item))

    def wanted(self, item: dict[str, Any]) -> bool:
        """Return whether a table shows this item."""
        return True

    def run(self) -> list[nodes.Node]:
        """Return the placeholder."""
        self.env.note_dependency(str(STATEMENTS))
        if not hasattr(self.env, "reluspec_pages"):
            self.env.reluspec_pages = {}
        shown = self.env.reluspec_pages.setdefault(self.env.docname, {})
        selected = list(self.select())
        shown.setdefault(self.show, []).extend(selected)
        node = placeholder(show=self.show, statements=selected)
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


class Verified(Display):
    """The badge under a statement."""

    required_arguments = 1
    show = "badge"

    def select(self) -> Iterator[str]:
        """Yield the statement named by the author, if there is one of this id."""
        statement = self.arguments[0].strip()
        if statement in self.env.reluspec_statements:
            yield statement
        else:
            warn(f"badge of {statement!r}, which statements.yml does not list", self.get_location())


class VerificationTable(Display):
    """Every statement that can be verified, with its record."""

    show = "verification"
    fields = ("title", "claim", "assumptions")

    def wanted(self, item: dict[str, Any]) -> bool:
        """Return whether the item is a statement that can be verified."""
        return bool(item.get("verify"))


class OpenTable(Display):
    """What the book does not verify, and why."""

    show = "unverified"
    fields = ("title", "note")

    def wanted(self, item: dict[str, Any]) -> bool:
        """Return whether the file says that the item is not verified."""
        return bool(item.get("state"))


class PooledZ(Display):
    """All simulated checks taken together."""

    show = "pooled"

    def wanted(self, item: dict[str, Any]) -> bool:
        """Return that the figure is about no statement in particular."""
        return False


class MutationScores(PooledZ):
    """How many mutants of each module the unit tests kill."""

    show = "mutants"


class StatusTable(Display):
    """The main results: chapter and status."""

    show = "status"
    fields = ("title",)

    def wanted(self, item: dict[str, Any]) -> bool:
        """Return whether the item is a main result."""
        return bool(item.get("summary"))


class Crosswalk(Display):
    """Every item of the paper, of the kinds named, with its address in the book."""

    show = "crosswalk"
    fields = ("title", "note")
    option_spec = {"kinds": directives.unchanged_required}  # noqa: RUF012 (docutils' interface)

    def wanted(self, item: dict[str, Any]) -> bool:
        """Return whether the item is of a kind asked for."""
        kinds = self.options.get("kinds", "").split()
        for kind in kinds:
            if kind not in KINDS:
                warn(f"unknown kind {kind!r}", self.get_location())
        return not kinds or item["kind"] in kinds


def purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forget a page that is read again."""
    getattr(env, "reluspec_pages", {}).pop(docname, None)


def merge(app: Sphinx, env: BuildEnvironment, docnames: set[str], other: Any) -> None:
    """Take over what a parallel reader recorded."""
    if not hasattr(env, "reluspec_pages"):
        env.reluspec_pages = {}
    for docname in docnames:
        if docname in getattr(other, "reluspec_pages", {}):
            env.reluspec_pages[docname] = other.reluspec_pages[docname]


# --- from placeholders to tables ------------------------------------------------------------


def text(value: str, *classes: str) -> nodes.inline:
    """Return a piece of text with CSS classes."""
    return nodes.inline("", value, classes=list(classes))


def number(value: Any) -> list[nodes.Node]:
    """Return a ledger's value as typeset text: a percentage, powers of ten, a fitted exponent."""
    if value is None:
        return [text("none", "no-value")]
    if isinstance(value, int | float):
        return [nodes.Text(f"{100 * value:.2g} %")]
    fitted = re.search(r"(-?[\d.]+) (?:±|\+-) ([\d.]+)", value)
    if fitted:
        return [nodes.Text(f"{fitted[1]} ± {fitted[2]}".replace("-", "−"))]
    result: list[nodes.Node] = []
    pieces = re.split(r"(\d+(?:\.\d+)?)e([+-]?\d+)", value.replace("<=", "≤"))
    for before, mantissa, exponent in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=False):
        times = "" if float(mantissa) == 1 else f"{mantissa} × "
        power = nodes.superscript("", f"{int(exponent)}".replace("-", "−"))
        result += [nodes.Text(f"{before}{times}10"), power]
    return result + ([nodes.Text(pieces[-1])] if pieces[-1] else [])


def layer_status(record: dict[str, Any] | None, layer: str) -> str:
    """Return 'passed', 'missing' or 'not yet' for one layer of a statement."""
    return record["status"].get(layer, "missing") if record else "not yet"


def pill(record: dict[str, Any] | None, layer: str, *, long: bool) -> nodes.inline:
    """Return the status of one layer: shape, word and colour, the word always in the text."""
    status = layer_status(record, layer)
    css = "layer layer-" + status.replace(" ", "-")
    if long:
        return nodes.inline(
            "",
            "",
            text(layer, "layer-letter"),
            text(f" {LAYERS[layer]} {status}"),
            classes=css.split(),
        )
    hidden = text(f" {LAYERS[layer]} {status}", "visually-hidden")
    return nodes.inline("", "", text(layer, "layer-letter"), hidden, classes=css.split())


def pills(record: dict[str, Any] | None, *, long: bool) -> list[nodes.Node]:
    """Return the three layers, with spaces between so that lines can break."""
    result: list[nodes.Node] = []
    for layer in LAYERS:
        result += [pill(record, layer, long=long), nodes.Text(" ")]
    return result[:-1]


def paragraph(children: Iterable[nodes.Node], *classes: str) -> nodes.paragraph:
    """Return a paragraph with CSS classes."""
    return nodes.paragraph("", "", *children, classes=list(classes))


def table(
    label: str, css: str, head: list[list[nodes.Node]], body: list[nodes.row], widths: list[int]
) -> nodes.Element:
    """Return a table in a box that scrolls, named for those who do not see it."""
    columns = [nodes.colspec(colwidth=width) for width in widths]
    head_row = nodes.row("", *(nodes.entry("", paragraph(cell)) for cell in head))
    group_node = nodes.tgroup(
        "", *columns, nodes.thead("", head_row), nodes.tbody("", *body), cols=len(widths)
    )
    # jupyter-book numbers tables that have captions; these have a label instead.
    inner = nodes.table("", group_node, classes=[css, "reluspec-table"])
    return group("", inner, classes=[f"{css}-box"], role="group", label=label)


class Resolve(SphinxPostTransform):
    """Replace the placeholders when every page has been read."""

    # Before Sphinx resolves references (10), since claims and notes may hold some.
    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        """Replace every placeholder of the page."""
        for node in list(self.document.findall(placeholder)):
            build = getattr(self, node["show"])
            parsed = {(c["statement"], c["field"]): c.children for c in node.children}
            node.replace_self(build(node["statements"], parsed))

    def link(self, target: tuple[str, str], *children: nodes.Node) -> nodes.Node:
        """Return a reference to a page and anchor."""
        inner = nodes.inline("", "", *children)
        docname, ident = target
        return make_refnode(self.app.builder, self.env.docname, docname, ident or None, inner)

    def record(self, statement: str) -> dict[str, Any] | None:
        """Return the ledger of a statement."""
        return self.env.reluspec_ledgers.get(statement, (None, None))[1]

    def statement_link(self, statement: str) -> nodes.Node:
        """Return the name of a statement, linked to where the book states it."""
        name = nodes.Text(name_of(self.env.reluspec_statements[statement]))
        found = addresses(self.env, statement)
        return self.link(found[0], name) if found else nodes.inline("", "", name)

    def chapter_link(self, statement: str) -> nodes.Node:
        """Return a link to the chapter that verifies a statement."""
        if statement not in self.env.reluspec_ledgers:
            return text("no chapter yet", "not-yet")
        docname = self.env.reluspec_ledgers[statement][0]
        return self.link((docname, ""), nodes.Text(chapter_title(self.env, docname)))

    def row_of_record(self, statement: str) -> tuple[str, str] | None:
        """Return where the verification page lists a statement."""
        for docname, shown in getattr(self.env, "reluspec_pages", {}).items():
            if statement in shown.get("verification", []):
                return docname, f"verified-{statement}"
        return None

    def certified(self, record: dict[str, Any] | None) -> str:
        """Return how many checks of a ledger are certified, in words, or nothing."""
        count = sum(check["certified"] for check in record["checks"]) if record else 0
        return f"{count} certified" if count else ""

    def badge(self, statements: list[str], parsed: Any) -> list[nodes.Node]:
        """Return the badge under a statement."""
        if not statements:
            return []
        statement = statements[0]
        record = self.record(statement)
        name = name_of(self.env.reluspec_statements[statement])
        if record is None:
            lead = text("Not verified yet", "verified-lead")
        else:
            complete = all(layer_status(record, layer) == "passed" for layer in LAYERS)
            lead = text("Verified" if complete else "Partly verified", "verified-lead")
        first = paragraph([lead, nodes.Text(" "), *pills(record, long=True)], "verified-layers")
        values: list[nodes.Node] = []
        for key, title in VALUES.items():
            if record and record.get(key) is not None:
                # One piece each, so that a line breaks between them.
                value = nodes.inline("", f"{title} ", *number(record[key]), classes=["nowrap"])
                values += [value, nodes.Text(" · ")]
        if certified := self.certified(record):
            values += [text(certified, "nowrap", "certified"), nodes.Text(" · ")]
        row = self.row_of_record(statement)
        if row:
            values.append(self.link(row, nodes.Text("full record")))
        children = [first, paragraph(values, "verified-values")] if values else [first]
        return [
            group(
                "", *children, classes=["verified"], role="group", label=f"Verification of {name}"
            )
        ]

    def verification(self, statements: list[str], parsed: Any) -> nodes.Element:
        """Return the table of the verification page."""
        rows = []
        for statement in statements:
            item, record = self.env.reluspec_statements[statement], self.record(statement)
            name: list[nodes.Node] = [self.statement_link(statement)]
            if item.get("number"):
                title = nodes.inline("", "", *parsed[statement, "title"], classes=["item-title"])
                name += [nodes.Text(" "), title]
            what = [
                paragraph(name, "item-name"),
                paragraph(parsed[statement, "claim"], "item-claim"),
            ]
            what += self.ground(statement, parsed)
            if record is None:
                rest = [nodes.entry("", paragraph([text("no chapter yet", "not-yet")]), morecols=5)]
            else:
                what.append(paragraph([self.chapter_link(statement)], "item-chapter"))
                rest = [self.status_cell(record, layer) for layer in LAYERS]
                rest += [nodes.entry("", paragraph(number(record.get(key)))) for key in VALUES]
            css = [] if record else ["row-pending"]
            rows.append(
                nodes.row(
                    "", nodes.entry("", *what), *rest, ids=[f"verified-{statement}"], classes=css
                )
            )
        head: list[list[nodes.Node]] = [[nodes.Text("Statement")]]
        head += [
            [nodes.abbreviation("", letter, explanation=word)] for letter, word in LAYERS.items()
        ]
        head += [[nodes.Text(word[0].upper() + word[1:])] for word in VALUES.values()]
        label = "Verification of every statement"
        return table(label, "verification-table", head, rows, [40, 8, 8, 8, 12, 12, 12])

    def ground(self, statement: str, parsed: Any) -> list[nodes.Node]:
        """Return what a statement assumes and which statements it uses."""
        children: list[nodes.Node] = []
        if (statement, "assumptions") in parsed:
            children = [nodes.Text("Assumes "), *parsed[statement, "assumptions"], nodes.Text(". ")]
        others = self.env.reluspec_statements[statement].get("uses", [])
        for k, other in enumerate(others):
            link = self.statement_link(other)
            children += [nodes.Text("; " if k else "Uses "), link]
        if others:
            children.append(nodes.Text("."))
        return [paragraph(children, "item-ground")] if children else []

    def status_cell(self, record: dict[str, Any], layer: str) -> nodes.entry:
        """Return the cell of one layer."""
        status = layer_status(record, layer)
        cell = [paragraph([text(status, "layer", f"layer-{status}")])]
        certified = self.certified(record) if layer == "N" else ""
        return nodes.entry(
            "", *cell, *([paragraph([text(certified, "certified")])] * bool(certified))
        )

    def unverified(self, statements: list[str], parsed: Any) -> nodes.Element:
        """Return the table of what the book does not verify."""
        rows = []
        for statement in statements:
            item = self.env.reluspec_statements[statement]
            cells = [
                nodes.entry("", paragraph(self.titled(statement, parsed))),
                nodes.entry("", paragraph([self.state(statement)])),
                nodes.entry("", paragraph([*parsed.get((statement, "note"), [])])),
            ]
            rows.append(nodes.row("", *cells, ids=[f"open-{item['id']}"]))
        head: list[list[nodes.Node]] = [[nodes.Text(word)] for word in ("Item", "State", "Note")]
        return table("What the book does not verify", "open-table", head, rows, [40, 15, 45])

    def pooled(self, statements: list[str], parsed: Any) -> list[nodes.Node]:
        """Return the histogram of all simulated checks."""
        simulated = self.env.reluspec_simulated
        if not simulated:
            return [paragraph([nodes.Text("No simulated check is stored.")])]
        return [nodes.raw("", pooled_figure(pool(simulated)), format="html")]

    def mutants(self, statements: list[str], parsed: Any) -> nodes.Element:
        """Return the table of mutation scores."""
        stored = self.env.reluspec_scores
        if stored is None:
            return paragraph([nodes.Text("No scores are stored; make mutants measures them.")])
        rows = []
        for module in modules():
            cells: list[nodes.Node] = [nodes.literal("", module)]
            score = stored["modules"].get(module)
            if score is None:
                cells += [nodes.Text("") for _ in range(3)] + [text("not measured yet", "not-yet")]
            else:
                values = [score["mutants"], score["killed"], score["equivalent"]]
                changed = score["source"] != digest(module)
                note = " (the module changed since)" if changed else ""
                cells += [nodes.Text(str(value)) for value in values]
                cells.append(nodes.Text(f"{100 * score['score']:.1f} %{note}"))
            rows.append(nodes.row("", *(nodes.entry("", paragraph([cell])) for cell in cells)))
        words = ("Module", "Mutants", "Killed", "Equivalent", "Score")
        head: list[list[nodes.Node]] = [[nodes.Text(word)] for word in words]
        return table("Mutation scores", "mutation-table", head, rows, [40, 15, 15, 15, 15])

    def state(self, statement: str) -> nodes.inline:
        """Return the state of an item as a word."""
        state = state_of(self.env, statement)
        return text(state, "state", f"state-{state.replace(' ', '-')}")

    def titled(self, statement: str, parsed: Any) -> list[nodes.Node]:
        """Return the name of an item with its title."""
        item, title = self.env.reluspec_statements[statement], parsed[statement, "title"]
        if not item.get("number"):
            return list(title)
        return [text(name_of(item), "item-name"), nodes.Text(" "), *title]

    def status(self, statements: list[str], parsed: Any) -> nodes.Element:
        """Return the table of the landing page."""
        rows = []
        for statement in statements:
            record = self.record(statement)
            if record:
                chapter: list[nodes.Node] = [self.chapter_link(statement)]
            else:
                missing = text("(no chapter yet)", "not-yet")
                chapter = [*parsed[statement, "title"], nodes.Text(" "), missing]
            cells = [
                nodes.entry("", paragraph([self.statement_link(statement)])),
                nodes.entry("", paragraph(chapter)),
                nodes.entry("", paragraph(pills(record, long=False), "nowrap")),
            ]
            rows.append(nodes.row("", *cells, classes=[] if record else ["row-pending"]))
        head = [[nodes.Text(word)] for word in ("In the paper", "Chapter", "Verified")]
        return table("Results, chapters and status", "status-table", head, rows, [22, 56, 22])

    def crosswalk(self, statements: list[str], parsed: Any) -> nodes.Element:
        """Return the table from the paper to the book."""
        rows = []
        for statement in statements:
            item = self.env.reluspec_statements[statement]
            links: list[nodes.Node] = []
            for target in addresses(self.env, statement):
                links += [
                    self.link(target, nodes.Text(chapter_title(self.env, target[0]))),
                    nodes.Text("; "),
                ]
            note = list(parsed.get((statement, "note"), []))
            if item.get("relation"):
                css = f"relation-{item['relation'].replace(' ', '-')}"
                note = [
                    text(item["relation"], "relation", css),
                    nodes.Text(" "),
                    *note,
                ]
            cells = [
                nodes.entry("", paragraph(self.titled(statement, parsed))),
                nodes.entry("", paragraph([*links[:-1], nodes.Text(" "), self.state(statement)])),
                nodes.entry("", paragraph(note)),
            ]
            pending = [] if links else ["row-pending"]
            rows.append(nodes.row("", *cells, ids=[f"paper-{statement}"], classes=pending))
        head = [
            [nodes.Text(word)] for word in ("In the paper", "In the book", "What the book adds")
        ]
        return table("From the paper to the book", "crosswalk-table", head, rows, [32, 28, 40])


# --- registration ---------------------------------------------------------------------------


def visit_group_html(self: Any, node: nodes.Element) -> None:
    """Open a group in HTML."""
    attributes = {"role": node["role"], "aria-label": node["label"]}
    self.body.append(self.starttag(node, "div", "\n", **attributes))


def depart_group_html(self: Any, node: nodes.Element) -> None:
    """Close a group in HTML."""
    self.body.append("</div>\n")


def skip(self: Any, node: nodes.Element) -> None:
    """Other builders show the children alone."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    others = dict.fromkeys(("latex", "text", "man", "texinfo"), (skip, skip))
    app.add_node(group, html=(visit_group_html, depart_group_html), **others)
    app.add_node(placeholder)
    app.add_directive("verified", Verified)
    app.add_directive("verification-table", VerificationTable)
    app.add_directive("open-table", OpenTable)
    app.add_directive("pooled-z", PooledZ)
    app.add_directive("mutation-scores", MutationScores)
    app.add_directive("status-table", StatusTable)
    app.add_directive("crosswalk", Crosswalk)
    app.add_post_transform(Resolve)
    app.setup_extension("equation_marks")
    app.connect("env-get-outdated", paper_record.read_sources)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    app.connect("env-check-consistency", paper_record.check_consistency)
    return {
        "version": "1",
        "env_version": 1,
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
