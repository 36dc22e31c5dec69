"""What the book verified, shown from the record: badges, the verification page, the crosswalk.

Directives, with data from :mod:`paper_record` and nothing typed twice::

    :::{verified} theorem-3-1     the badge, under the statement in its chapter
    :::
    :::{verification-table}       every statement that can be verified, with its record
    :::
    :::{status-table}             the main results: chapter and status, for the landing page
    :::
    :::{statement-map}            which statement rests on which, as a drawing with links
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

from typing import Any

import paper_record
from record_badge import Verified
from record_crosswalk import Crosswalk
from record_display import Resolve, merge, placeholder, purge
from record_map import StatementMap
from record_nodes import group, visit_group
from record_scores import MutationScores, PooledZ
from record_tables import OpenTable, StatusTable, VerificationTable
from sphinx.application import Sphinx
from theorem_boxes import depart, skip

DISPLAYS = (
    *(Verified, VerificationTable, StatusTable, StatementMap, OpenTable),
    *(Crosswalk, PooledZ, MutationScores),
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    others = dict.fromkeys(("latex", "text", "man", "texinfo"), (skip, skip))
    app.add_node(group, html=(visit_group, depart), **others)
    app.add_node(placeholder)
    for display in DISPLAYS:
        app.add_directive(display.name, display)
    app.add_post_transform(Resolve)
    app.setup_extension("equation_marks")
    app.connect("env-get-outdated", paper_record.read_sources)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    app.connect("env-check-consistency", paper_record.check_consistency)
    return {
        "version": "1",
        "env_version": 2,
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
