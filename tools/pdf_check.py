"""What must hold of the printed book, read from the file: every page, place, link and statement."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import pikepdf
import pypdfium2

from tools.paper import PLACE, Chapter

__all__ = ["problems"]

MEGABYTES = 25
MILLIMETRE = 72 / 25.4  # in points
SIDE, BOTTOM, TOP = 22 * MILLIMETRE, 18 * MILLIMETRE, 20 * MILLIMETRE  # margins, as in pdf.css
SLACK = 1.5  # points by which an edge may be blurred
WHITE = 250  # and above, of 255


def problems(path: Path, found: Sequence[Chapter], titles: Sequence[str]) -> list[str]:
    """Return what is wrong with the file of these chapters.

    Titles of statements have to stand somewhere in it.
    """
    size = path.stat().st_size / 1e6
    wrong = [f"{size:.1f} MB, more than {MEGABYTES}"] if size > MEGABYTES else []
    with pikepdf.open(path) as file:
        places = places_of(file)
        wrong += [*link_problems(file, places, found), *outline_problems(file, places, found)]
    with pypdfium2.PdfDocument(path) as drawn:
        texts: list[str] = []
        for k, page in enumerate(drawn, 1):
            words = page.get_textpage()
            texts.append(plain(words.get_text_range()))
            # The box of a tall bracket above may reach as far down.
            if words.get_text_bounded(top=BOTTOM).split()[:1] != [str(k)]:
                wrong.append(f"page {k}: another number, or none, stands below it")
            wrong += [f"page {k}: {what}" for what in ink_problems(page)]
            page.close()
    return wrong + text_problems(texts, places, found, titles)


def plain(text: str) -> str:
    """Return the letters and digits of a text; a printed one has lines, hyphens and ligatures."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text))


def places_of(file: pikepdf.Pdf) -> dict[str, int]:
    """Return the pages, from 1, of the named places."""
    numbers = {page.obj.objgen: k for k, page in enumerate(file.pages, 1)}
    return {
        name.removeprefix("/"): numbers[place[0].objgen]
        for name, place in file.Root.Dests.items()
        if place[0].objgen in numbers
    }


def link_problems(
    file: pikepdf.Pdf, places: dict[str, int], found: Sequence[Chapter]
) -> Iterator[str]:
    """Find links that lead nowhere or to files, and those of the chapters that the file lacks."""
    led: set[str] = set()
    for k, page in enumerate(file.pages, 1):
        for link in page.obj.get("/Annots", ()):
            name = str(link.get("/Dest", "")).removeprefix("/")
            address = str(link.get("/A", pikepdf.Dictionary()).get("/URI", ""))
            if name not in places and not re.match(r"https?:|mailto:", address):
                yield f"page {k}: a link leads nowhere: {name or address}"
            led.add(name)
    for chapter in found:
        for tag in chapter.article.select(f'a[href^="#"], a[href^="{PLACE}"]'):
            name = str(tag["href"]).removeprefix("#").removeprefix(PLACE)
            if name not in led and tag.get_text(strip=True):
                yield f"{chapter.page.name}: no link to {name}: {tag.get_text(strip=True)}"


def outline_problems(
    file: pikepdf.Pdf, places: dict[str, int], found: Sequence[Chapter]
) -> Iterator[str]:
    """Compare the outline with the headings."""
    wanted, above = [], list[int]()
    for heading in (heading for chapter in found for heading in chapter.headings):
        while above and above[-1] >= heading.level:
            above.pop()
        above.append(heading.level)
        wanted.append((len(above), heading.text, heading.place))
    with file.open_outline() as outline:
        entries = list(walk(outline.root, 1))
    for entry, expected in itertools.zip_longest(entries, wanted):
        if entry != expected:
            yield f"outline: {entry}, not {expected}"
            break
    for _, text, place in entries:
        if place not in places:
            yield f"outline: {text} leads nowhere"
        if "\\" in text:
            yield f"outline: {text} shows TeX"


def walk(items: Sequence[pikepdf.OutlineItem], level: int) -> Iterator[tuple[int, str, str]]:
    """Go through an outline, from above."""
    for item in items:
        yield level, item.title, str(item.destination).removeprefix("/")
        yield from walk(item.children, level + 1)


def ink_problems(page: pypdfium2.PdfPage) -> Iterator[str]:
    """Look at a page: something stands on it, and nothing beside its text."""
    shown = page.render(scale=1, grayscale=True).to_numpy()
    height, width = shown.shape[:2]
    ink = shown.reshape(height, width) < WHITE
    side = int(SIDE - SLACK)
    if not ink[int(TOP - SLACK) : height - int(BOTTOM)].any():
        yield "blank"
    for name, strip in (("left", ink[:, :side]), ("right", ink[:, width - side :])):
        if strip.any():
            yield f"something stands in the {name} margin"


def text_problems(
    texts: Sequence[str], places: dict[str, int], found: Sequence[Chapter], titles: Sequence[str]
) -> list[str]:
    """Look for headings and statements on their pages, and for the pages in the contents."""
    wrong = []
    for chapter in found:
        for mark in [*chapter.headings, *chapter.statements]:
            page = places.get(mark.place, 0)
            # The place of a heading is above it, and may be the end of the page before.
            if plain(mark.text) not in "".join(texts[max(page - 1, 0) : page + 1]):
                wrong.append(f"page {page}: without {mark.text!r}")
    whole = "".join(texts)
    for chapter in found:
        for line in chapter.article.select(".contents-list li:has(.page-of)"):
            page = places.get(str(line.select(".page-of")[0]["data-of"]), 0)
            if plain(f"{line.get_text()}{page}") not in whole:
                wrong.append(f"contents: {line.get_text()!r} without its page {page}")
    return wrong + [f"nowhere: {title!r}" for title in titles if plain(title) not in whole]
