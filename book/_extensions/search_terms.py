"""Names and synonyms that lead to a page: in the index of terms, and first in the search.

``book/reference/terms.yml`` lists them by page. The statements of the record are added by name,
at the place of their badge: Sphinx ranks such entries before all words of the
text, and finds words of one letter or number only by them.
"""

from __future__ import annotations

from typing import Any

import yaml
from paper_record import name_of, telling_name, warn
from record_display import placeholder
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform

from tools.settings import BOOK

TERMS = BOOK / "reference" / "terms.yml"


def load() -> dict[str, list[str]]:
    """Return the terms of each page."""
    found = yaml.safe_load(TERMS.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not all(isinstance(v, list) for v in found.values()):
        raise ExtensionError(f"{TERMS.name}: a list of terms for each page was expected")
    return {page: [str(term) for term in terms] for page, terms in found.items()}


class SearchTerms(SphinxTransform):
    """Put the terms of a page at its top."""

    # Before the index is collected, when the document has been read (880).
    default_priority = 875

    def apply(self, **kwargs: Any) -> None:
        """Put them there."""
        terms = load().get(self.env.docname, [])
        entries = [("single", term, "", "main", None) for term in terms]
        for node in self.document.findall(placeholder):
            if node["display"] == "verified":
                for statement in node["statements"]:
                    item = self.env.reluspec_statements[statement]
                    names = {name_of(item), telling_name(item)}
                    entries += [("single", n, statement, "main", None) for n in sorted(names)]
        if entries:
            self.document.insert(0, addnodes.index(entries=entries, inline=False))
            self.env.note_dependency(str(TERMS))


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of pages that do not exist."""
    for page in load().keys() - env.found_docs:
        warn(f"{TERMS.name} names {page!r}, which is no page of the book")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_transform(SearchTerms)
    app.connect("env-check-consistency", check)
    return {
        "version": "1",
        "env_version": 1,
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
