"""The book as one file: a made-up book of three pages becomes one document, and is printed."""

import re
import struct
import sys
import zlib

import pytest
from bs4 import BeautifulSoup

from tests.pages.conftest import REQUIRED, find_browser
from tools import archive, pdf
from tools.one_document import document
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
        <div class="theorem" id="statement">Let <span class="math">\\(x = 1\\)</span>.</div>
        <a href="#statement">here</a> <a href="one.html">there</a>
        <a href="https://example.org">away</a></section></article>""",
}
DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f64540"
    "0000000049454e44ae426082"
)


@pytest.fixture
def folder(tmp_path):
    """Write the made-up book."""
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
def soup(folder):
    return BeautifulSoup(document(folder), "html.parser")


def test_pages_follow_the_navigation_and_parts_stand_above_them(soup):
    articles = [tag["id"] for tag in soup.select("article")]
    assert articles == ["c0", "contents", "c1", "solutions", "c2"]
    titles = [tag.get_text() for tag in soup.select("h1, h2")]
    expected = ["A book", "Contents", "Part one", "1. One", "Solutions", "1. One", "2. Two"]
    assert titles == expected
    lines = [li.get_text() for li in soup.select(".contents-list li")]
    assert lines == ["Part one", "1. One", "Solutions", "2. Two"]


def test_every_link_leads_to_a_place_in_the_file_or_out_of_the_book(soup):
    names = [tag["id"] for tag in soup.select("[id]")]
    assert len(names) == len(set(names))
    leads = {a.get_text(): a["href"] for a in soup.select("a[href]")}
    inside = {href[1:] for href in leads.values() if href.startswith("#")}
    assert inside <= set(names)
    assert leads["the statement"] == leads["here"] == "#c2-statement"
    assert (leads["there"], leads["away"]) == ("#c1", "https://example.org")
    assert f"{archive.NAME}.zip" not in leads


def test_proofs_are_open_solutions_at_the_end_and_plumbing_gone(soup):
    assert soup.select("details, summary") == []
    text = soup.select_one("#c1").get_text()
    assert "Clear." in text
    assert "drawn" in text
    assert not {"plot()", "Because.", "check()"} & set(text.split())
    solution = soup.select_one("#solutions .solution-block")
    assert re.sub(r"\s+", " ", solution.get_text()).strip() == "Exercise 1.1Because.check()"
    assert solution.a["href"] == "#c1-exercise-1"
    assert soup.select_one(".exercise a")["href"] == f"#{solution['id']}"


def test_only_scripts_for_formulas_and_figures_are_taken(soup):
    assert [tag["src"] for tag in soup.select("script[src]")] == ["_static/mathjax/tex-chtml.js"]
    assert [tag["href"] for tag in soup.select("link")] == ["_static/book.css"]
    assert "alert" not in soup.head.get_text()
    assert soup.img["src"] == "_static/dot.png"


OBJECTS = [
    b"<</Type /Catalog\n/Pages 2 0 R\n/Dests 6 0 R>>",
    b"<</Type /Pages\n/Kids [3 0 R 5 0 R]>>",
    b"<</Type /Pages\n/Kids [7 0 R 4 0 R]>>",
    b"<</Type /Page>>",
    b"<</Type /Page>>",
    b"<</c1 [4 0 R /XYZ 1 2 0]\n/c1-x [7 0 R /XYZ 1 2 0]\n/c2 [5 0 R /XYZ 1 2 0]>>",
    b"<</Type /Page>>",
    b"<</Length 21>> stream\n\nendobj\n8 0 obj\nxxx\nendstream",
]


@pytest.fixture
def printed():
    """Return a file as Chromium writes them, of three pages and a stream like an object."""
    out, places = b"%PDF-1.4\n", []
    for number, text in enumerate(OBJECTS, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    rows = b"".join(b"%010d 00000 n \n" % place for place in places)
    table = b"xref\n0 9\n0000000000 65535 f \n" + rows
    return out + table + b"trailer\n<</Size 9\n/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(out)


def test_a_file_says_on_which_page_a_place_is(printed):
    assert list(pdf.objects_of(printed).values()) == OBJECTS
    assert pdf.page_numbers(printed) == {"c1": 2, "c1-x": 1, "c2": 3}


@pytest.mark.parametrize("size", [3, 500])
def test_a_packed_file_has_the_same_objects(printed, monkeypatch, size):
    monkeypatch.setattr(pdf, "PACK", size)
    found = pdf.packed(printed)
    start = int(found.split()[-2])
    number, table = stream_at(found, start)
    assert b"/Root 1 0 R" in found[start:]
    rows = list(struct.iter_unpack(">BIH", table))
    assert len(rows) == number + 1
    for number, text in enumerate(OBJECTS, 1):
        kind, place, index = rows[number]
        if kind == 1:
            assert found[place:].startswith(b"%d 0 obj\n%s\nendobj\n" % (number, text))
        else:
            pack, content = stream_at(found, rows[place][1])
            assert (kind, pack) == (2, place)
            first = int(re.search(rb"/First (\d+)", found[rows[place][1] :])[1])
            numbers = [int(word) for word in content[:first].split()]
            assert numbers[2 * index] == number
            assert content[first + numbers[2 * index + 1] :].startswith(text)


def stream_at(content, place):
    """Return the number of the object at a place and its stream, decompressed."""
    length = int(re.search(rb"/Length (\d+)", content[place:])[1])
    begin = content.index(b"stream\n", place) + 7
    return int(content[place:].split()[0]), zlib.decompress(content[begin : begin + length])


def test_the_file_is_offered_once_behind_the_archive(folder):
    target = folder / f"{archive.NAME}.pdf"
    target.write_bytes(b"0" * 3_000_000)
    for pages in (8, 9):
        pdf.offer(folder, target, pages)
    soup = BeautifulSoup((folder / pdf.FIRST).read_text(encoding="utf-8"), "html.parser")
    (entry,) = soup.select("li + li.whole-book")
    assert entry.a["href"] == f"../{target.name}"
    assert entry.get_text().endswith("9 pages, 3 MB.")


@pytest.mark.skipif(find_browser() is None and not REQUIRED, reason="no Chromium was found")
def test_it_is_printed_with_page_numbers_outline_and_links(folder, monkeypatch):
    (folder / "_static" / "mathjax").symlink_to(offline_mathjax.mathjax_folder())
    monkeypatch.setenv("CHROMIUM", find_browser())
    printed = []
    objects_of = pdf.objects_of
    monkeypatch.setattr(pdf, "objects_of", lambda text: printed.append(text) or objects_of(text))
    target = folder / "book.pdf"
    assert pdf.print_book(folder, target) == 5
    first, content = printed
    assert target.read_bytes() == pdf.packed(content)
    assert pdf.page_numbers(first) == pdf.page_numbers(content)
    pages = pdf.page_numbers(content)
    wanted = {"c1": 3, "c1-exercise-1": 3, "solutions": 4, "c2": 5, "c2-statement": 5}
    assert wanted.items() <= pages.items()
    assert {name.decode() for name in re.findall(rb"/Dest /([^\s>]+)", content)} == set(pages)
    outline = [b"A book", b"Contents", b"Part one", b"1. One", b"Solutions", b"2. Two"]
    assert all(b"<</Title (%s)" % title in content for title in outline)
    assert len(re.findall(rb"https://example.org", content)) == 1
