"""What the build computes: who rests on whom in the map of statements, which icons stay."""

import sys

import yaml

from tools.settings import BOOK

sys.path.append(str(BOOK / "_extensions"))
import lean_pages
import record_map

STATEMENTS = yaml.safe_load((BOOK / "record" / "statements.yml").read_text(encoding="utf-8"))
USES = {"a": [], "b": ["a"], "c": ["b", "a"], "d": []}


def test_ancestors_are_all_that_a_statement_rests_on():
    """Given a chain, what a statement rests on is found through others."""
    assert record_map.ancestors(USES, "c") == {"a", "b"}
    assert record_map.ancestors(USES, "a") == set()


def test_layers_put_a_statement_after_all_that_it_rests_on():
    """Given the statements of the book, each stands in a later layer than what it uses."""
    items = {item["id"]: item for item in STATEMENTS}
    uses = record_map.uses_of(items)
    depth = {s: k for k, layer in enumerate(record_map.layers(uses)) for s in layer}
    assert depth.keys() == uses.keys()
    assert all(depth[s] > depth[other] for s, others in uses.items() for other in others)


def test_only_items_of_the_record_are_in_the_map():
    """Given items with and without verification, the map has the former and arrows between them."""
    items = {"a": {"verify": True, "uses": ["b", "c"]}, "b": {"verify": True}, "c": {}}
    assert record_map.uses_of(items) == {"a": ["b"], "b": []}


def test_icons_that_no_page_names_are_dropped():
    """Given outlines, those with a wanted name or another name that is wanted stay."""
    script = 'p={sun:[1,1,[],"f1","M0"],"moon":[1,1,["crescent"],"f2","M1"],car:[1,1,[],"f3","M2"]}'
    assert "M2" not in lean_pages.without_others(script, {"sun", "crescent"})
    assert "M0" in lean_pages.without_others(script, {"sun"})
    assert "M1" in lean_pages.without_others(script, {"crescent"})
