"""The built pages as one document, for paper.

The pages follow each other in the order of the navigation, each a chapter; names are made unique
and links between pages lead to places in the document. What is folded away is open, but for the
code that only draws, which is left out; solutions stand together behind the last chapter that has
exercises.
"""

from __future__ import annotations

import html
import json
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup, Tag

__all__ = ["FIRST", "Page", "document", "reading_order"]

FIRST = "book/index.html"
LEFT_OUT = {"book/reference/try-it.html"}  # copies of the chapters' figures, to be moved
STYLE = Path(__file__).with_name("pdf.css")


@dataclass(frozen=True)
class Page:
    """A page of the built book: its file, its title, the part that it begins, its name here."""

    path: str
    title: str
    part: str
    name: str


def reading_order(folder: Path) -> list[Page]:
    """Return the pages in the order of the navigation, the landing page first."""
    soup = BeautifulSoup((folder / FIRST).read_text(encoding="utf-8"), "html.parser")
    pages: list[Page] = []
    part = ""
    for entry in soup.select("nav.bd-links p.caption, nav.bd-links a.internal"):
        text = entry.get_text(" ", strip=True)
        if entry.name == "p":
            part = text
            continue
        path = resolved(FIRST, str(entry["href"]).partition("#")[0])
        if path not in LEFT_OUT:
            pages.append(Page(path, text, part, f"c{len(pages)}"))
            part = ""
    return pages


def resolved(path: str, link: str) -> str:
    """Return the file, below the folder of the book, to which a link of a page leads."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link)) if link else path


def adopt_links(article: Tag, page: Page, names: dict[str, str]) -> None:
    """Make names unique in the file, and links and images those of the file."""
    for tag in article.select("[id]"):
        tag["id"] = f"{page.name}-{tag['id']}"
    for tag in article.select("[src]"):
        if not re.match(r"\w+:", str(tag["src"])):
            tag["src"] = resolved(page.path, str(tag["src"]))
    for tag in article.select("[href]"):
        place, _, fragment = str(tag["href"]).partition("#")
        if re.match(r"\w+:", place):
            continue
        name = names.get(resolved(page.path, place))
        if name is None:  # a download, an index of the pages: nothing of the file
            tag.unwrap()
        else:
            tag["href"] = f"#{name}-{unquote(fragment)}" if fragment else f"#{name}"
    for tag in article.select("[marker-end]"):
        tag["marker-end"] = str(tag["marker-end"]).replace("url(#", f"url(#{page.name}-")


def unfold(soup: BeautifulSoup, article: Tag) -> None:
    """Open what is folded away; drop the code that only draws, and what only a screen can do."""
    for tag in article.select(".headerlink, .copybtn, .tag_hide-input > details"):
        tag.decompose()
    for details in article.select("details"):
        summary = details.find("summary")
        if isinstance(summary, Tag):
            title = summary.select_one(".sd-summary-text")
            if title is not None:
                summary.insert_before(new(soup, "p", "fold-title", title.get_text(strip=True)))
            summary.decompose()
        details.name = "div"


def new(soup: BeautifulSoup, name: str, cls: str, text: str = "", **attributes: str) -> Tag:
    """Return a new element."""
    tag = soup.new_tag(name, attrs={"class": cls, **attributes})
    tag.string = text
    return tag


def take_solutions(soup: BeautifulSoup, article: Tag) -> list[Tag]:
    """Take the solutions out of a page; each and its exercise lead to each other."""
    taken: list[Tag] = []
    for exercise in article.select(".exercise[id]"):
        fold = exercise.find_next_sibling()
        title, number = (exercise.select_one(s) for s in (".admonition-title", ".caption-number"))
        if fold is None or title is None or "Solution" not in fold.get_text()[:40]:
            continue
        name = f"solution-{exercise['id']}"
        solution = new(soup, "div", "solution-block", id=name)
        head = new(soup, "p", "fold-title")
        label = (number or title).get_text(" ", strip=True)
        head.append(new(soup, "a", "internal", label, href=f"#{exercise['id']}"))
        solution.append(head)
        following = fold.find_next_sibling()
        for old in fold.select(".fold-title"):
            old.decompose()
        solution.append(fold.extract())
        while following and "tag_hide-cell" in following.get_attribute_list("class"):
            after = following.find_next_sibling()
            solution.append(following.extract())
            following = after
        lead = new(soup, "p", "to-solution")
        lead.append(new(soup, "a", "internal", "Solution", href=f"#{name}"))
        lead.append(new(soup, "span", "page-of", **{"data-of": name}))
        exercise.append(lead)
        taken.append(solution)
    return taken


def lower_headings(article: Tag) -> None:
    """Make each heading one level lower: the first level is that of the parts."""
    for tag in article.select("h1, h2, h3, h4, h5"):
        tag["class"] = f"was-{tag.name}"
        tag.name = f"h{int(str(tag.name)[1]) + 1}"


def head_of(soup: BeautifulSoup, page: Page) -> list[str]:
    """Return the styles of a page and the scripts that typeset formulas and draw figures."""
    found: list[str] = []
    for tag in soup.select("link[rel=stylesheet], script"):
        address = str(tag.get("href") or tag.get("src") or "")
        wanted = tag.name == "link" or re.search(r"/mathjax/|/formulas\.js|/live/", address)
        if address and wanted:
            tag["href" if tag.name == "link" else "src"] = resolved(page.path, address)
            found.append(str(tag))
        elif tag.get_text().startswith("window.MathJax"):
            found.append(str(tag))
    return found


def article_of(name: str, part: str, body: str) -> str:
    """Return a chapter, with the name of its part above it where it begins one."""
    above = f'<h1 class="part">{html.escape(part)}</h1>' if part else ""
    return f'<article class="bd-article {name}" id="{name}">{above}{body}</article>'


def document(folder: Path) -> str:
    """Return the one document of all pages."""
    pages = reading_order(folder)
    names = {page.path: page.name for page in pages}
    head: list[str] = []
    articles: list[str] = []
    solutions: list[str] = []
    behind = 0
    for page in pages:
        soup = BeautifulSoup((folder / page.path).read_text(encoding="utf-8"), "html.parser")
        article = soup.select_one("article.bd-article")
        assert article is not None, page.path
        head += [line for line in head_of(soup, page) if line not in head]
        adopt_links(article, page, names)
        unfold(soup, article)
        taken = take_solutions(soup, article)
        lower_headings(article)
        articles.append(article_of(page.name, page.part, article.decode_contents()))
        if taken:
            behind = len(articles)
            solutions += [f"<h2>{html.escape(page.title)}</h2>", *map(str, taken)]
    if solutions:
        last = Page("", "", "Solutions", "solutions")
        pages.insert(behind, last)
        articles.insert(behind, article_of(last.name, last.part, "".join(solutions)))
    # Each chapter has pages of its own kind, with its title above them.
    heads = [
        f"@page {p.name} {{ @top-left {{ content: {css(p.title or p.part)} }} }}" for p in pages
    ]
    kinds = [f".{page.name} {{ page: {page.name} }}" for page in pages]
    style = "\n".join([STYLE.read_text(encoding="utf-8"), *heads, *kinds])
    title = html.escape(pages[0].title)
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light"><head>'
        f'<meta charset="utf-8"><title>{title}</title>{"".join(head)}<style>{style}</style></head>'
        f"<body><div>{articles[0]}{contents(pages[1:])}{''.join(articles[1:])}</div></body></html>"
    )


def css(text: str) -> str:
    """Return a text as a string of CSS."""
    return json.dumps(text, ensure_ascii=False)


def contents(pages: Sequence[Page]) -> str:
    """Return the list of the chapters with room for their pages."""
    lines: list[str] = []
    for page in pages:
        if page.part and page.title:
            lines.append(f'<li class="of-part">{html.escape(page.part)}</li>')
        lines.append(
            f'<li><a href="#{page.name}">{html.escape(page.title or page.part)}</a>'
            f'<span class="page-of" data-of="{page.name}"></span></li>'
        )
    return (
        '<article class="bd-article contents" id="contents"><h1 class="part">Contents</h1>'
        f'<ul class="contents-list">{"".join(lines)}</ul></article>'
    )
