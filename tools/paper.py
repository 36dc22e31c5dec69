"""The built pages as the chapters of a book on paper, each a document of its own.

The chapters follow each other in the order of the navigation. Names are unique in the book, and a
link to another chapter leads to ``place:`` and a name there. What is folded away is open, but for
the code that only draws, which is left out; solutions stand together behind the last chapter that
has exercises.
"""

from __future__ import annotations

import html
import json
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup, Tag

__all__ = ["FIRST", "PLACE", "Chapter", "Heading", "chapters", "contents", "reading_order"]

FIRST = "book/index.html"
PLACE = "place:"  # how an address begins that leads to a name in another chapter
LEFT_OUT = {"book/reference/try-it.html"}  # copies of the chapters' figures, to be moved
LEVELS = 3  # of headings in the outline: parts, chapters, sections
STYLE = Path(__file__).with_name("pdf.css")


@dataclass(frozen=True)
class Page:
    """A page of the built book: its file, its title, the part that it begins, its name here."""

    path: str
    title: str
    part: str
    name: str


@dataclass(frozen=True)
class Heading:
    """A heading: its level from 1, its text and the name of its place."""

    level: int
    text: str
    place: str


@dataclass
class Chapter:
    """A chapter: its page, what its document needs of styles and scripts, and its text."""

    page: Page
    head: list[str]
    article: Tag
    headings: list[Heading] = field(default_factory=list)
    statements: list[Heading] = field(default_factory=list)
    places: set[str] = field(default_factory=set)

    @property
    def document(self) -> str:
        """The whole document."""
        page = self.page
        # Chromium keeps the places to which a link of the same document leads.
        kept = "".join(f'<a href="#{place}"></a>' for place in sorted(self.places))
        above = f"@page {{ @top-left {{ content: {css(page.title or page.part)} }} }}"
        return (
            '<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light"><head>'
            f'<meta charset="utf-8"><title>{html.escape(page.title or page.part)}</title>'
            f"{''.join(self.head)}<style>{STYLE.read_text(encoding='utf-8')}{above}</style></head>"
            f"<body><div>{self.article}</div><nav hidden>{kept}</nav></body></html>"
        )


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
    for tag in article.find_all(True):
        attributes = tag.attrs
        if "id" in attributes:
            tag["id"] = f"{page.name}-{tag['id']}"
        if "src" in attributes and not re.match(r"\w+:", str(tag["src"])):
            tag["src"] = resolved(page.path, str(tag["src"]))
        if "marker-end" in attributes:
            tag["marker-end"] = str(tag["marker-end"]).replace("url(#", f"url(#{page.name}-")
        if "href" not in attributes:
            continue
        place, _, fragment = str(tag["href"]).partition("#")
        if re.match(r"\w+:", place):
            continue
        name = names.get(resolved(page.path, place))
        if name is None:  # a download, an index of the pages: nothing of the file
            tag.unwrap()
        else:
            tag["href"] = f"#{name}-{unquote(fragment)}" if fragment else f"#{name}"


def unfold(soup: BeautifulSoup, article: Tag) -> None:
    """Open what is folded away; drop the code that only draws, and what only a screen can do."""
    unwanted = ".headerlink, .copybtn, .whole-book, .tag_hide-input > details, .citation > .label"
    for tag in article.select(unwanted):
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
    for exercise in article.find_all(class_="exercise", id=True):
        fold = exercise.find_next_sibling()
        title, number = (exercise.select_one(s) for s in (".admonition-title", ".caption-number"))
        if fold is None or title is None or "Solution" not in fold.get_text()[:40]:
            continue
        name = f"solution-{exercise['id']}"
        solution = new(soup, "div", "solution-block", id=name)
        head = new(soup, "p", "fold-title")
        label = (number or title).get_text(" ", strip=True)
        head.append(new(soup, "a", "internal", label, href=f"#{exercise['id']}"))
        head.append(new(soup, "span", "page-of", **{"data-of": str(exercise["id"])}))
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
        exercise.append(lead)
        taken.append(solution)
    return taken


def lower_headings(article: Tag) -> None:
    """Make each heading one level lower: the first level is that of the parts."""
    for tag in article.find_all(["h1", "h2", "h3", "h4", "h5"]):
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


def begin(article: Tag, page: Page) -> Tag:
    """Name the text of a chapter, and set the name of its part above it where it begins one."""
    article["class"] = f"bd-article {page.name}"
    article["id"] = page.name
    if page.part:
        title = BeautifulSoup(f'<h1 class="part">{html.escape(page.part)}</h1>', "html.parser")
        article.insert(0, title)
    return article


def written(page: Page, body: str) -> Tag:
    """Return the text of a chapter that is no page of the built book."""
    article = BeautifulSoup(f"<article>{body}</article>", "html.parser").article
    assert article is not None
    return begin(article, page)


def headings_of(article: Tag, name: str) -> list[Heading]:
    """Return the headings down to those of sections, and give each a name."""
    found: list[Heading] = []
    for tag in article.find_all([f"h{level}" for level in range(1, LEVELS + 1)]):
        place = str(tag.get("id") or f"{name}-heading-{len(found)}")
        tag["id"] = place
        # A formula as it is written, without its marks.
        text = re.sub(r"\\[()]", "", " ".join(tag.get_text().split()))
        found.append(Heading(int(tag.name[1]), text, place))
    return found


def statements_of(article: Tag) -> list[Heading]:
    """Return the titles of theorems and their like, as far as a formula in them."""
    found: list[Heading] = []
    for tag in article.find_all(class_="proof", id=True):
        title = tag.select_one(".admonition-title")
        if title is not None:
            text = title.get_text().partition("\\(")[0]
            found.append(Heading(LEVELS + 1, " ".join(text.split()), str(tag["id"])))
    return found


def lead_across(found: Sequence[Chapter]) -> None:
    """Make links to other chapters leave their document; keep the places that are asked for."""
    owner = {chapter.page.name: chapter for chapter in found}
    owner |= {str(tag["id"]): c for c in found for tag in c.article.find_all(id=True)}
    for chapter in found:
        marks = [*chapter.headings, *chapter.statements]
        chapter.places.update(mark.place for mark in marks)
        for tag in chapter.article.find_all(href=re.compile("^#")):
            name = str(tag["href"])[1:]
            if name in owner:
                owner[name].places.add(name)
            if owner.get(name) is not chapter:
                tag["href"] = PLACE + name


def chapters(folder: Path) -> list[Chapter]:
    """Return the chapters, the contents behind the first."""
    pages = reading_order(folder)
    names = {page.path: page.name for page in pages}
    found: list[Chapter] = []
    solutions: list[str] = []
    behind, head = 0, []
    for page in pages:
        soup = BeautifulSoup((folder / page.path).read_text(encoding="utf-8"), "html.parser")
        article = soup.select_one("article.bd-article")
        assert article is not None, page.path
        adopt_links(article, page, names)
        unfold(soup, article)
        taken = take_solutions(soup, article)
        lower_headings(article)
        found.append(Chapter(page, head_of(soup, page), begin(article, page)))
        if taken:
            behind = len(found)
            head += [line for line in found[-1].head if line not in head]
            solutions += [f"<h2>{html.escape(page.title)}</h2>", *map(str, taken)]
    if solutions:
        last = Page("", "", "Solutions", "solutions")
        found.insert(behind, Chapter(last, head, written(last, "".join(solutions))))
    for chapter in found:
        chapter.headings = headings_of(chapter.article, chapter.page.name)
        chapter.statements = statements_of(chapter.article)
    found.insert(1, contents(found))
    lead_across(found)
    return found


def css(text: str) -> str:
    """Return a text as a string of CSS."""
    return json.dumps(text, ensure_ascii=False)


def contents(found: Sequence[Chapter]) -> Chapter:
    """Return the list of the chapters behind the first, with room for their pages."""
    lines: list[str] = []
    for page in (chapter.page for chapter in found[1:]):
        if page.part and page.title:
            lines.append(f'<li class="of-part">{html.escape(page.part)}</li>')
        lines.append(
            f'<li><a href="#{page.name}">{html.escape(page.title or page.part)}</a>'
            f'<span class="page-of" data-of="{page.name}"></span></li>'
        )
    page = Page("", "", "Contents", "contents")
    article = written(page, f'<ul class="contents-list">{"".join(lines)}</ul>')
    styles = [line for line in found[0].head if line.startswith("<link")]
    return Chapter(page, styles, article, headings_of(article, page.name))
