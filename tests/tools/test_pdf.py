"""The book as one file: a made-up book of three pages becomes chapters, and is printed."""

import re
import sys

import numpy as np
import pikepdf
import pytest
from bs4 import BeautifulSoup

from tests.pages.conftest import REQUIRED, find_browser
from tools import archive, pdf, pdf_check
from tools.paper import chapters
from tools.pdf_check import problems
from tools.settings import BOOK

sys.path.append(str(BOOK / "_extensions"))
import offline_mathjax

MATHJAX = """<script>window.MathJax = {"options": {"enableMenu": false}}</script>
<script defer="defer" src="../_static/mathjax/tex-chtml.js"></script>
<script>alert(1)</script><link rel="stylesheet" href="../_static/book.css">"""

PAGES = {
    "index": """
        <nav class="bd-links"><a class="internal" href="#">A book</a>
        <p class="caption">Part one</p><a class="internal" href="a/one.html">1. One</a>
        <a class="internal" href="a/two.html">2. Two</a>
        <a class="internal" href="reference/try-it.html">Try it</a></nav>
        <article class="bd-article"><section id="a-book"><h1>A book</h1><ul><li>Take
        <a href="../NAME.zip">NAME.zip</a>.</li></ul>
        <p>See <a href="a/two.html#statement">the statement</a>.</p></section></article>""",
    "a/one": """
        <article class="bd-article"><section id="one"><h1>1. One</h1>
        <h2 id="statement">Statement</h2><img src="../../_static/dot.png">
        <div class="cell tag_hide-input"><details><summary>Show</summary>plot()</details>drawn</div>
        <div class="exercise" id="exercise-1"><p class="admonition-title"><span
        class="caption-number">Exercise 1.1</span></p><p>Why?</p></div>
        <details><summary><span class="sd-summary-text">Solution</span></summary>Because.</details>
        <div class="cell tag_hide-cell"><details><summary>Show</summary>check()</details></div>
        <details><summary><span class="sd-summary-text">Proof</span></summary>Clear.</details>
        <p class="after">After</p></section></article>""",
    "a/two": """
        <article class="bd-article"><section id="two"><h1>2. Two</h1>
        <div class="proof theorem" id="statement"><p class="admonition-title">Theorem 2.1 (it
        is <span class="math">\\(x\\)</span>)</p>Let <span class="math">\\(x = 1\\)</span>.</div>
        <a href="#statement">here</a> <a href="one.html">there</a>
        <div class="citation"><span class="label"><a href="#two">39</a></span>Me.</div>
        <a href="https://example.org">away</a></section></article>""",
}
DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f64540"
    "0000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write the made-up book."""
    tmp_path = tmp_path_factory.mktemp("book")
    for name, body in PAGES.items():
        path = tmp_path / "book" / f"{name}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        depth = "../" * name.count("/")
        head = MATHJAX.replace("../_static", f"{depth}../_static")
        text = f"<html><head>{head}</head><body>{body}</body></html>"
        path.write_text(text.replace("NAME", archive.NAME), encoding="utf-8")
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "dot.png").write_bytes(DOT)
    return tmp_path


@pytest.fixture
def found(folder):
    return chapters(folder)


def find(found, name):
    """Return a chapter by the name of its place."""
    return next(chapter for chapter in found if chapter.page.name == name)


def test_pages_follow_the_navigation_and_parts_stand_above_them(found):
    assert [chapter.page.name for chapter in found] == ["c0", "contents", "c1", "solutions", "c2"]
    headings = [(h.level, h.text) for chapter in found for h in chapter.headings]
    assert headings == [
        *[(2, "A book"), (1, "Contents"), (1, "Part one"), (2, "1. One"), (3, "Statement")],
        *[(1, "Solutions"), (2, "1. One"), (2, "2. Two")],
    ]
    lines = [li.get_text() for li in found[1].article.select(".contents-list li")]
    assert lines == ["Part one", "1. One", "Solutions", "2. Two"]
    assert [h.text for h in found[-1].statements] == ["Theorem 2.1 (it is"]


def test_every_link_leads_to_a_place_in_the_file_or_out_of_the_book(found):
    own = [[tag["id"] for tag in c.article.parent.select("[id]")] for c in found]
    assert sum(map(len, own)) == len(set().union(*own))
    places = set().union(*(chapter.places for chapter in found))
    for chapter, names in zip(found, own, strict=True):
        assert chapter.places <= set(names)
        for tag in chapter.article.select("a[href]"):
            inside, across = (tag["href"].startswith(start) for start in ("#", "place:"))
            assert not inside or tag["href"][1:] in names
            assert not across or tag["href"].removeprefix("place:") in places.difference(names)
    leads = {a.get_text(): a["href"] for chapter in found for a in chapter.article.select("a")}
    assert (leads["the statement"], leads["here"]) == ("place:c2-statement", "#c2-statement")
    assert (leads["there"], leads["away"]) == ("place:c1", "https://example.org")
    assert f"{archive.NAME}.zip" not in leads
    assert "39" not in leads  # the pages hide the label of an entry of the bibliography


def test_proofs_are_open_solutions_at_the_end_and_plumbing_gone(found):
    one, solutions = find(found, "c1").article, find(found, "solutions").article
    assert one.select("details, summary") == []
    text = one.get_text()
    assert "Clear." in text
    assert "drawn" in text
    assert not {"plot()", "Because.", "check()"} & set(text.split())
    (solution,) = solutions.select(".solution-block")
    assert re.sub(r"\s+", " ", solution.get_text()).strip() == "Exercise 1.1Because.check()"
    assert solution.a["href"] == "place:c1-exercise-1"
    assert one.select_one(".exercise a")["href"] == f"place:{solution['id']}"


def test_only_scripts_for_formulas_and_figures_are_taken(found):
    soup = BeautifulSoup(find(found, "c1").document, "html.parser")
    assert [tag["src"] for tag in soup.select("script[src]")] == ["_static/mathjax/tex-chtml.js"]
    assert [tag["href"] for tag in soup.select("link")] == ["_static/book.css"]
    assert "alert" not in soup.head.get_text()
    assert soup.img["src"] == "_static/dot.png"


def test_the_file_is_offered_once_behind_the_archive(folder):
    target = folder / f"{archive.NAME}.pdf"
    target.write_bytes(b"0" * 3_000_000)
    for pages in (8, 9):
        pdf.offer(folder, target, pages)
    soup = BeautifulSoup((folder / pdf.FIRST).read_text(encoding="utf-8"), "html.parser")
    (entry,) = soup.select("li + li.whole-book")
    assert entry.a["href"] == f"../{target.name}"
    assert entry.get_text().endswith("9 pages, 3 MB.")
    assert "whole book" not in chapters(folder)[0].article.get_text()


@pytest.fixture(scope="module")
def printed(folder):
    """Print the made-up book, once."""
    if find_browser() is None and not REQUIRED:
        pytest.skip("no Chromium was found")
    (folder / "_static" / "mathjax").symlink_to(offline_mathjax.mathjax_folder())
    found, target = chapters(folder), folder / "book.pdf"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHROMIUM", find_browser())
        assert pdf.print_book(folder, found, target) == 5
    return found, target


def test_it_is_printed_with_page_numbers_outline_and_links(printed):
    found, target = printed
    assert problems(target, found, ["Theorem 2.1", "Because"]) == []
    with pikepdf.open(target) as file:
        pages = pdf_check.places_of(file)
        links = [link for page in file.pages for link in page.obj.get("/Annots", ())]
        assert sum("example.org" in str(link.get("/A", "")) for link in links) == 1
    expected = {"c1": 3, "c1-exercise-1": 3, "solutions": 4, "c2": 5, "c2-statement": 5}
    assert expected.items() <= pages.items()


def test_the_tags_of_a_page_are_those_of_its_chapter(printed):
    with pikepdf.open(printed[1]) as file:
        tags = pikepdf.NumberTree(file.Root.StructTreeRoot.ParentTree)
        for page in file.pages:
            of_page = [tag for tag in tags[int(page.obj.StructParents)] if tag is not None]
            assert of_page
            assert all(tag.Pg.objgen == page.obj.objgen for tag in of_page)


def test_fonts_share_the_glyphs_that_are_alike():
    drawn = [{"/a": b"0 0 d0 1", "/b": b"0 0 d0 2"}, {"/a": b"0 0 d0 1", "/b": b"0 0 d0 3"}]
    with pikepdf.new() as file:
        fonts = [
            pikepdf.Dictionary(
                Subtype=pikepdf.Name.Type3,
                CharProcs={name: file.make_stream(glyph) for name, glyph in glyphs.items()},
            )
            for glyphs in drawn
        ]
        fonts = [file.make_indirect(font) for font in fonts]
        pdf.share_glyphs(file)
        first, second = (font.CharProcs for font in fonts)
        assert first["/a"].objgen == second["/a"].objgen
        for font, glyphs in zip((first, second), drawn, strict=True):
            assert {name: glyph.read_bytes() for name, glyph in font.items()} == glyphs


@pytest.mark.parametrize(
    ("shades", "stored"), [(3, "/Indexed"), (256, "/Indexed"), (400, "/ICCBased")]
)
def test_pictures_of_few_colours_keep_their_pixels_in_less_room(shades, stored):
    shade = np.arange(400).reshape(20, 20) % shades
    pixels = np.stack([shade // 2, 200 - shade // 2, shade % 7], axis=-1).astype(np.uint8)
    with pikepdf.new() as file:
        space = pikepdf.Array([pikepdf.Name.ICCBased, file.make_stream(b"profile", N=3)])
        picture = file.make_stream(pixels.tobytes(), Subtype=pikepdf.Name.Image, Width=20)
        picture.Height, picture.BitsPerComponent, picture.ColorSpace = 20, 8, space
        pdf.index_colours(file)
        assert picture.ColorSpace[0] == stored
        shown = np.frombuffer(picture.read_bytes(), dtype=np.uint8)
        if stored == "/Indexed":
            table = np.frombuffer(bytes(picture.ColorSpace[3]), dtype=np.uint8).reshape(-1, 3)
            assert len(table) == picture.ColorSpace[2] + 1
            shown = table[shown]
        np.testing.assert_array_equal(shown.reshape(20, 20, 3), pixels)


def blank(file):
    file.add_blank_page(page_size=(595, 842))


def lost_place(file):
    del file.Root.Dests["/c2-statement"]


def lost_entry(file):
    with file.open_outline() as outline:
        del outline.root[-1]


def moved_text(file):
    file.pages[2].obj.MediaBox = [30, 0, 625, 842]


def cut_text(file):
    file.pages[2].obj.MediaBox = [0, 0, 110, 842]


def lost_links(file):
    del file.pages[2].obj.Annots


def lost_beginning(file):
    del file.pages[0]


def lost_page(file):
    del file.pages[3]


@pytest.mark.parametrize(
    "spoil, said",
    [
        (blank, "page 6: blank"),
        (lost_place, "page 5: a link leads nowhere: c2-statement"),
        (lost_entry, "outline: None, not (1, 'Solutions'"),
        (moved_text, "page 3: something stands in the left margin"),
        (cut_text, "page 3: something stands in the right margin"),
        (lost_links, "c1: no link to solution-c1-exercise-1: Solution"),
        (lost_beginning, "page 1: another number, or none, stands below it"),
        (lost_beginning, "contents: '1. One' without its page 2"),
        (lost_page, "outline: Solutions leads nowhere"),
        (lost_page, "nowhere: 'Because'"),
    ],
)
def test_what_is_wrong_with_a_file_is_found(printed, tmp_path, spoil, said):
    found, target = printed
    spoiled = tmp_path / "spoiled.pdf"
    with pikepdf.open(target) as file:
        spoil(file)
        file.save(spoiled)
    wrong = problems(spoiled, found, ["Because"])
    assert any(line.startswith(said) for line in wrong), wrong


def test_a_file_must_be_small_and_have_the_titles(printed, monkeypatch):
    found, target = printed
    monkeypatch.setattr(pdf_check, "MEGABYTES", 0.001)
    large, lost = problems(target, found, ["Theorem 2.1", "Theorem 9.9"])
    assert large.endswith("MB, more than 0.001")
    assert lost == "nowhere: 'Theorem 9.9'"
