"""What the build computes: who rests on whom in the map of statements, what pages are spared."""

import itertools
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


@pytest.mark.parametrize(("below", "above"), [(0, 1), (1, 0), (3, 2), (5, 13)])
def test_neighbours_stand_above_and_below_a_statement_and_do_not_touch(below, above):
    """Given neighbours, no two boxes overlap, three fit beside each other, and all are inside."""
    below = [f"b{k}" for k in range(below)]
    above = [f"a{k}" for k in range(above)]
    where, height = record_map.near_places("s", below, above)
    assert list(where) == [*below, "s", *above]
    size = record_map.SMALL
    assert max(y for _, y in where.values()) + size.height < height
    assert all(
        x >= 6 and x + size.width <= record_map.NEAR - 6 and y >= 6 for x, y in where.values()
    )
    for (x, y), (u, v) in itertools.combinations(where.values(), 2):
        assert abs(x - u) >= size.width + size.gap or abs(y - v) >= size.height + size.gap
    middle = where["s"][1]
    assert all(where[s][1] < middle for s in below)
    assert all(where[s][1] > middle for s in above)


def test_neighbours_are_what_a_statement_rests_on_and_what_rests_on_it():
    """Given a chain, a statement in the middle has neighbours on both sides."""
    assert record_map.near(USES, "b") == (["a"], ["c"])
    assert record_map.near(USES, "d") == ([], [])


def test_a_name_that_is_too_long_for_its_box_says_so():
    """Given a long name, the box shows three lines and that there is more; the label has all."""
    name = "What a very long name of a statement says of the book"
    drawn = record_map.box(0, 0, name, record_map.SOLID, "x.html", record_map.SMALL)
    assert drawn.count("<tspan") == 3
    assert ">What a very</tspan> <tspan" in drawn  # words stay apart for who hears them
    assert "…</tspan>" in drawn
    assert f'aria-label="{name}: ' in drawn


def test_maps_to_sources_are_dropped_and_not_asked_for(tmp_path):
    """Given a script with a map, the script stays, without its map and without naming it."""
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "a.js"
    script.write_text("run()\n//# sourceMappingURL=a.js.map", encoding="utf-8")
    (tmp_path / "scripts" / "a.js.map").write_text("{}", encoding="utf-8")
    lean_pages.drop_maps(tmp_path)
    assert [path.name for path in script.parent.iterdir()] == ["a.js"]
    assert script.read_text(encoding="utf-8") == "run()\n"


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


def stored_as(pixels, folder):
    """Return what the built book shows of a picture, and the size it gives it."""
    Image.fromarray(pixels).save(folder / "x.png")
    sizes = lean_images.encode_all(folder)
    assert [path.name for path in folder.iterdir()] == ["x.webp"]
    with Image.open(folder / "x.webp") as picture:
        return np.asarray(picture), sizes


@pytest.mark.parametrize("bands", [3, 4])
def test_a_picture_of_all_colours_keeps_its_pixels(tmp_path, bands):
    """Given noise, or a picture with transparent parts, the smaller file shows the same."""
    pixels = rng(5).integers(0, 256, (14, 90, bands), dtype=np.uint8)
    shown, sizes = stored_as(pixels, tmp_path)
    np.testing.assert_array_equal(shown, pixels)
    assert sizes == {"x": (45, 7)}


def test_a_picture_of_lines_loses_only_shades(tmp_path):
    """Given a ramp of more colours than are kept, none moves far; the paper stays its own."""
    ramp = np.linspace(0, 80, 40, dtype=np.uint8)
    pixels = np.full((40, 400, 3), (253, 252, 249), dtype=np.uint8)
    pixels[:, :40] = np.stack(np.broadcast_arrays(ramp, ramp[:, None], 128), axis=-1)
    shown, _sizes = stored_as(pixels, tmp_path)
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) <= 256
    assert np.sqrt(np.mean(np.subtract(shown, pixels, dtype=float) ** 2)) <= lean_images.LEAST_SEEN
    np.testing.assert_array_equal(shown[:, 200:], pixels[:, 200:])


def test_a_page_shows_pictures_at_half_their_pixels():
    """Given the size of a picture of the book, the page states it; other pictures stay."""
    book, other = '<img src="../_images/x.png" />', '<img src="../_static/x.png" />'
    shown = '<img src="../_images/x.webp" width="45" height="7" />'
    assert lean_images.with_webp(book + other, {"x": (45, 7)}) == shown + other
    sized = book.replace(" />", ' style="width: 45px; height: 7px;" />')
    assert lean_images.with_webp(sized, {"x": (45, 7)}) == shown
