"""What pages carry of each other for the previews of their links."""

import sys

import pytest
from bs4 import BeautifulSoup

from tools.settings import BOOK

sys.path.append(str(BOOK / "_extensions"))
import previews

FORMULAS = (
    '<script>window.MathJax = {"a": "</b>"}</script>\n'
    '<script defer="defer" src="../../_static/mathjax/startup.js"></script>'
)
STATED = f"""<head>{FORMULAS}</head><body><h1>The title</h1><article class="bd-article">
<h1><span>3. </span>The norm<a class="headerlink" href="#n">#</a></h1>
<div class="proof theorem admonition" id="norm"><p id="title">Theorem</p><div><div class="math x"
id="equation-norm"><a class="headerlink" href="#e">#</a>\\(a\\)</div></div></div><p>after</p>
<div class="proof admonition" id="its-proof">Proof</div>
<div class="math x" id="equation-two"><span><a href="#check" aria-label="it">(2)</a></span>b</div>
<dl><dt id="term-cone">cone<a class="headerlink" href="#c">#</a></dt><dd><p>round</p></dd></dl>
</article></body>"""
LINKING = """<head></head><body><article class="bd-article">
<a href="#here">1</a><a class="x" href="../one/stated.html#norm">2</a>
<a href="../one/stated.html#norm">3</a><a href="../one/stated.html#equation-two">4</a>
<a href="../one/stated.html#its-proof">5</a><a href="../one/stated.html#term-cone">6</a>
<a href="https://example.org/stated.html#norm">7</a><a href="../one/stated.html">8</a>
</article><a href="../one/stated.html#equation-norm">outside</a></body>"""


@pytest.fixture
def book(tmp_path):
    """Return a function that reads a page of a small book with previews."""
    for name, text in {"one/stated": STATED, "two/linking": LINKING}.items():
        path = tmp_path / "book" / f"{name}.html"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    previews.add_previews(tmp_path)
    return lambda name: (tmp_path / "book" / f"{name}.html").read_text(encoding="utf-8")


def test_a_page_carries_what_it_links_to_once_and_nothing_else(book):
    """Given links to statements, proofs and pages, there is one template for each statement."""
    found = BeautifulSoup(book("two/linking"), "html.parser").select("template.preview")
    assert {template["data-target"]: template.get_text(" ", strip=True) for template in found} == {
        "../one/stated.html#equation-two": "3. The norm (2) b",
        "../one/stated.html#norm": r"3. The norm Theorem \(a\)",
        "../one/stated.html#term-cone": "3. The norm cone round",
    }
    assert len(found) == 3


def test_what_is_carried_has_no_names_and_no_links(book):
    """Given statements with anchors and links, their copies have neither."""
    found = BeautifulSoup(book("two/linking"), "html.parser").select("template.preview")
    assert [template.select("a, [id], [aria-label]") for template in found] == [[], [], []]
    assert [len(template.select(".math, dt")) for template in found] == [1, 1, 1]


def test_a_page_that_links_to_nothing_stays_as_it_is(book):
    """Given a page without links to other pages, it is not changed."""
    assert book("one/stated") == STATED


def test_a_page_without_formulas_of_its_own_can_typeset_those_it_carries(book):
    """Given a page that loads no MathJax, it loads that of the other page once, from its place."""
    head = BeautifulSoup(book("two/linking"), "html.parser").head
    assert str(head) == f"<head>{FORMULAS}</head>"


def test_a_box_that_is_not_closed_stops_the_build():
    """Given a page that is cut off, the build says so."""
    with pytest.raises(ValueError, match="not closed"):
        previews.shown_by('<div class="math x" id="equation-a"><div></div>')
