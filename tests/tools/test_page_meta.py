"""What the built pages tell search engines: descriptions, addresses, and a sitemap."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from docutils import nodes

from tools.settings import BOOK, environment

sys.path.append(str(BOOK / "_extensions"))
import page_meta

LONG = "A network of random weights learns the norm of its input first; then its coordinates"


def document(*parts):
    paragraph = nodes.paragraph("", "", *parts)
    doctree = nodes.document(None, None)
    doctree += nodes.section("", nodes.title("", "A page"), paragraph)
    return doctree


@pytest.mark.parametrize(
    "parts, expected",
    [
        ([nodes.Text(f"{LONG}.")], f"{LONG}."),
        (
            [nodes.Text(f"{LONG}, at rate "), nodes.math("", "d + 1"), nodes.Text(".")],
            f"{LONG}, at rate d + 1.",
        ),
        (
            [nodes.Text(f"{LONG}, at rate "), nodes.math("", r"\frac1d"), nodes.Text(" or so.")],
            "A network of random weights learns the norm of its input first.",
        ),
        ([nodes.Text("Short.")], "A page. The book."),
        ([nodes.Text("See "), nodes.math("", r"\pi"), nodes.Text(LONG)], "A page. The book."),
        ([nodes.Text("word " * 60)], ("word " * 40).strip() + " …"),
    ],
)
def test_a_description_is_the_first_paragraph_as_far_as_words_go(parts, expected):
    assert page_meta.description(document(*parts), "A page", "The book.") == expected


def test_a_page_without_a_paragraph_has_its_title():
    assert page_meta.description(None, "Index", "The book.") == "Index. The book."


def build(folder, **variables):
    """Build a book of two pages and return the exit status, what it said and the folder."""
    for name, rest in {"index": "\n.. toctree::\n\n   other\n", "other": ""}.items():
        text = f"{name} & co\n==========\n\n{name}: {LONG}.\n{rest}"
        (folder / f"{name}.rst").write_text(text)
    (folder / "conf.py").write_text("extensions = ['page_meta']\npage_description = 'The book.'\n")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", str(folder), str(folder / "html")]
    env = environment() | {"PYTHONPATH": str(BOOK / "_extensions")} | variables
    result = subprocess.run(command, env=env, capture_output=True, text=True)
    return result.returncode, result.stderr, folder / "html"


def test_a_book_with_an_address_has_a_sitemap_and_its_pages_know_it(tmp_path):
    code, errors, html = build(tmp_path, BOOK_URL="https://example.org/book")
    assert (code, errors) == (0, "")
    places = [place.text for place in ElementTree.parse(html / "sitemap.xml").iter() if place.text]
    urls = [place for place in places if place.strip()]
    assert urls == [f"https://example.org/book/{name}.html" for name in ("index", "other")]
    page = (html / "other.html").read_text()
    assert re.search(r'<link rel="canonical" href="https://example.org/book/other.html"', page)
    assert 'property="og:url" content="https://example.org/book/other.html"' in page
    assert 'property="og:title" content="other &amp; co"' in page
    assert f'name="description" content="other: {LONG}."' in page


def test_a_book_without_an_address_names_no_host(tmp_path):
    code, errors, html = build(tmp_path, BOOK_URL="")
    assert (code, errors) == (0, "")
    assert not (html / "sitemap.xml").exists()
    assert f'name="description" content="index: {LONG}."' in (html / "index.html").read_text()
    assert "og:url" not in (html / "index.html").read_text()


def test_an_address_that_is_none_is_refused(tmp_path):
    code, errors, _ = build(tmp_path, BOOK_URL="example.org")
    assert code != 0
    assert "BOOK_URL is the address of the book" in errors
