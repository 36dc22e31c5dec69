"""What the build computes: who rests on whom in the map of statements, what pages are spared."""

import sys

import numpy as np
import pytest
import yaml
from PIL import Image
from sphinx.errors import ExtensionError

from helpers import rng
from tools.settings import BOOK

sys.path.append(str(BOOK / "_extensions"))
import lean_images
import lean_pages
import lean_styles
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


SCRIPT = 'p={sun:[2,1,[],"f1","M9"]},q={sun:[2,1,["star"],"f1","M0"],far:[1,1,[],"f2","M1"]}'


def test_icons_are_drawn_into_the_page_as_the_solid_ones():
    """Given a page with an icon, it is an outline with the other classes, without a script."""
    icons = lean_pages.outlines(SCRIPT)
    page = '<script defer src="../_static/scripts/fontawesome.js?digest=1"></script><p>'
    page += '<i class="fa-solid fa-star fa-lg" data-mode="dark"></i></p>'
    drawn = '<svg class="drawn-icon fa-lg" data-mode="dark" aria-hidden="true" viewBox="0 0 2 1">'
    drawn += '<path fill="currentColor" d="M0"/></svg>'
    assert lean_pages.with_icons(page, icons) == f"<p>{drawn}</p>"


def test_an_icon_without_an_outline_stops_the_build():
    """Given a name that the script does not have, the build says so instead of showing nothing."""
    with pytest.raises(ExtensionError, match="fa-moon"):
        lean_pages.with_icons('<i class="fas fa-moon"></i>', lean_pages.outlines(SCRIPT))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (".used{a:b}.unused{a:b}", ".used{a:b}"),
        (".used,.unused p{a:b}", ".used{a:b}"),
        ("#unused>.used{a:b}p:hover{a:b}", "p:hover{a:b}"),
        (".used:not(.unused, :has(.unused)){a:b}", ".used:not(.unused, :has(.unused)){a:b}"),
        (":is(.unused,.used) p{a:b}", ":is(.unused,.used) p{a:b}"),
        (
            "@media print{.unused{a:b}}@media (width<9px){.used{a:b}}",
            "@media (width<9px){.used{a:b}}",
        ),
        ('/* ".unused{" */a::after{content:"}/*;"}.unused{a:b}', 'a::after{content:"}/*;"}'),
        (
            "@font-face{src:url(x.woff)}@import 'x.css';",
            "@font-face{src:url(x.woff)}\n@import 'x.css';",
        ),
        (r".un\.used{a:b}", r".un\.used{a:b}"),
        ('a[href=".unused"]{a:b}', 'a[href=".unused"]{a:b}'),
    ],
)
def test_rules_that_nothing_can_match_are_dropped(before, after):
    """Given a sheet and the words of the book, selectors that ask for another name go."""
    assert lean_styles.lean(before, {"used"}) == after


def test_a_picture_keeps_its_pixels(tmp_path):
    """Given a picture with transparent parts, the smaller file shows the same."""
    pixels = rng(5).integers(0, 256, (7, 9, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    lean_images.encode_all(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["x.webp"]
    with Image.open(tmp_path / "x.webp") as picture:
        np.testing.assert_array_equal(np.asarray(picture), pixels)
    assert lean_images.with_webp('<img src="../_images/x.png">') == '<img src="../_images/x.webp">'
    assert lean_images.with_webp('<img src="../_static/x.png">') == '<img src="../_static/x.png">'
