"""The whole book as one file for paper: its built pages, printed by Chromium chapter by chapter.

As one document the book is laid out as a whole, and its print did not end in eleven minutes. So
each chapter is printed by itself, from the page at which the one before it ends, and the files are
joined: links between chapters, outline and tags become those of one file.
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import posixpath
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pikepdf
import yaml
from pikepdf import Array, Dictionary, Name
from playwright.sync_api import Browser, Page, sync_playwright

from tools.archive import NAME
from tools.paper import FIRST, PLACE, Chapter, Heading, chapters
from tools.pdf_check import problems
from tools.record import STATEMENTS
from tools.settings import HTML, shown

__all__ = ["joined", "main", "offer", "print_book"]

WIDTH = 627  # pixels of 1/96 inch between the margins that pdf.css sets
# Of a picture: bits of a colour's part, parts, and what each counts in one number.
BITS, PARTS = 8, 3
PLACES = np.array([2**16, 2**8, 1])
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]

FILL = """([first, pages]) => {
  const style = document.createElement("style");
  style.textContent = `html { counter-reset: page ${first - 1} }`;
  document.head.append(style);
  for (const e of document.querySelectorAll(".page-of")) e.textContent = pages[e.dataset.of] ?? "";
}"""
READY = """async () => {
  await window.MathJax?.startup.promise;
  document.querySelectorAll("mjx-assistive-mml").forEach(e => e.remove());
  // The formulas fit this width: the pages' scripts need not fit them anew for each print.
  const stop = event => event.stopImmediatePropagation();
  for (const kind of ["beforeprint", "afterprint"]) window.addEventListener(kind, stop, true);
  await document.fonts.ready;
  for (const image of document.images) await image.decode();
}"""


@dataclass(frozen=True)
class Printed:
    """A printed chapter: its file, the pages of its places, and the page that follows it."""

    content: bytes
    places: dict[str, int]
    following: int


@contextmanager
def opened(browser: Browser, folder: Path, chapter: Chapter) -> Iterator[Page]:
    """Open a chapter; its formulas are set while the caller does something else."""
    # Beside the pages, for their scripts, styles and pictures.
    with tempfile.NamedTemporaryFile("w", suffix=".html", dir=folder, encoding="utf-8") as file:
        file.write(chapter.document)
        file.flush()
        # At the width of the paper, so that formulas are broken into lines for it.
        tab = browser.new_page(viewport={"width": WIDTH, "height": 900}, device_scale_factor=2)
        tab.set_default_timeout(0)  # formulas of a long chapter take a minute on a busy machine
        tab.emulate_media(media="print", color_scheme="light")
        tab.goto(Path(file.name).as_uri(), wait_until="commit")
        yield tab
        tab.close()


def printed(tab: Page, first: int, pages: dict[str, int]) -> Printed:
    """Print a chapter that is open, from a page on, where the pages of other places are known."""
    tab.wait_for_load_state("load")
    tab.evaluate(READY)
    tab.evaluate(FILL, [first, pages])
    content = tab.pdf(prefer_css_page_size=True, tagged=True)
    with pikepdf.open(io.BytesIO(content)) as file:
        order = {page.obj.objgen: first + k for k, page in enumerate(file.pages)}
        places = {
            name.removeprefix("/"): order[place[0].objgen]
            for name, place in file.Root.get("/Dests", Dictionary()).items()
        }
        return Printed(content, places, first + len(file.pages))


def print_book(folder: Path, found: Sequence[Chapter], target: Path) -> int:
    """Print the chapters of the book in a folder into a file; return the number of its pages."""
    files: list[Printed] = []
    pages: dict[str, int] = {}
    with sync_playwright() as playwright, ExitStack() as stack:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        following = stack.enter_context(opened(browser, folder, found[0]))
        for chapter in [*found[1:], None]:
            tab, rest = following, stack.pop_all()
            if chapter:  # its formulas are set while the one before it is printed
                following = stack.enter_context(opened(browser, folder, chapter))
            with rest:
                files.append(printed(tab, files[-1].following if files else 1, pages))
                pages |= files[-1].places
        # Now the pages are known that the contents name.
        contents = next(k for k, chapter in enumerate(found) if chapter.page.name == "contents")
        with opened(browser, folder, found[contents]) as tab:
            again = printed(tab, files[contents - 1].following, pages)
        assert again.following == files[contents].following, "the contents have become longer"
        files[contents] = again
        browser.close()
    headings = list(itertools.chain.from_iterable(chapter.headings for chapter in found))
    joined([file.content for file in files], headings, found[0].page.title, target)
    return files[-1].following - 1


def joined(
    contents: Sequence[bytes], headings: Sequence[Heading], title: str, target: Path
) -> None:
    """Write the chapters' files as one file."""
    book = pikepdf.new()
    places, tags = Dictionary(), Tags(book)
    for content in contents:
        with pikepdf.open(io.BytesIO(content)) as file:
            start = len(book.pages)
            for page in file.pages:
                book.pages.append(page)
            new = [book.pages[k] for k in range(start, len(book.pages))]
            order = {page.obj.objgen: k for k, page in enumerate(file.pages)}
            for name, place in file.Root.get("/Dests", Dictionary()).items():
                places[name] = Array([new[order[place[0].objgen]].obj, *list(place)[1:]])
            for page in new:
                lead_inside(page.obj)
            tags.take(file, [page.obj for page in new])
    share_glyphs(book)
    index_colours(book)
    book.Root.Dests = book.make_indirect(places)
    book.Root.Lang = pikepdf.String("en")
    book.Root.ViewerPreferences = Dictionary(DisplayDocTitle=True)
    book.Root.PageMode = Name.UseOutlines
    tags.close()
    with book.open_outline() as outline:
        above: list[tuple[int, pikepdf.OutlineItem]] = []
        for heading in headings:
            item = pikepdf.OutlineItem(heading.text)
            item.destination = Name(f"/{heading.place}")
            item.is_closed = heading.level > 1
            while above and above[-1][0] >= heading.level:
                above.pop()
            (above[-1][1].children if above else outline.root).append(item)
            above.append((heading.level, item))
    book.docinfo["/Title"] = title
    pikepdf.settings.set_flate_compression_level(9)
    book.save(
        target,
        object_stream_mode=pikepdf.ObjectStreamMode.generate,
        compress_streams=True,
        recompress_flate=True,
        deterministic_id=True,
    )


def share_glyphs(book: pikepdf.Pdf) -> None:
    """Let the chapters share the glyphs of formulas, which Chromium draws anew in each."""
    known: dict[bytes, Any] = {}
    for font in book.objects:
        if isinstance(font, Dictionary) and font.get("/Subtype") == "/Type3":
            for name, glyph in font.CharProcs.items():
                font.CharProcs[name] = known.setdefault(glyph.read_raw_bytes(), glyph)


def index_colours(book: pikepdf.Pdf) -> None:
    """Store pictures of few colours as the numbers of their colours, a third of the room."""
    for picture in book.objects:
        if not isinstance(picture, pikepdf.Stream) or picture.get("/Subtype") != "/Image":
            continue
        space = picture.get("/ColorSpace")
        rgb = isinstance(space, Array) and space[0] == "/ICCBased" and space[1].N == PARTS
        if not rgb or picture.BitsPerComponent != BITS or "/Decode" in picture:
            continue
        pixels = np.frombuffer(picture.read_bytes(), np.uint8).reshape(-1, PARTS)
        colours, which = np.unique(pixels @ PLACES, return_inverse=True)
        if len(colours) <= 2**BITS:
            table = (colours[:, None] // PLACES % 2**BITS).astype(np.uint8).tobytes()
            picture.ColorSpace = Array([Name.Indexed, space, len(colours) - 1, table])
            picture.write(which.astype(np.uint8).tobytes())


def lead_inside(page: Any) -> None:
    """Turn the links of a page that lead to other chapters into links inside the file."""
    for link in page.get("/Annots", ()):
        address = str(link.get("/A", Dictionary()).get("/URI", ""))
        if address.startswith(PLACE):
            del link["/A"]
            link.Dest = Name("/" + address.removeprefix(PLACE))


class Tags:
    """The tags of the chapters, which say what is a heading, a paragraph or a picture's text."""

    def __init__(self, book: pikepdf.Pdf) -> None:
        self.book = book
        self.root = book.make_indirect(Dictionary(Type=Name.StructTreeRoot, K=Array()))
        self.parents = Array()
        self.known = 0

    def take(self, file: pikepdf.Pdf, pages: Sequence[Any]) -> None:
        """Take the tags of a chapter, whose pages are in the book already."""
        root = self.book.copy_foreign(file.Root.StructTreeRoot)
        kids = root.K if isinstance(root.K, Array) else [root.K]
        for kid in kids:
            kid.P = self.root
            self.root.K.append(kid)
        numbers = list(numbers_of(root.ParentTree))
        for number, parent in numbers:
            self.parents.append(number + self.known)
            self.parents.append(parent)
        for page in pages:
            for tagged in [page, *page.get("/Annots", ())]:
                for key in ("/StructParents", "/StructParent"):
                    if key in tagged:
                        tagged[key] = int(tagged[key]) + self.known
        self.known += max((number for number, _ in numbers), default=-1) + 1

    def close(self) -> None:
        """Make them the tags of the book."""
        self.root.ParentTree = self.book.make_indirect(Dictionary(Nums=self.parents))
        self.root.ParentTreeNextKey = self.known
        self.book.Root.StructTreeRoot = self.root
        self.book.Root.MarkInfo = Dictionary(Marked=True)


def numbers_of(tree: Any) -> Iterator[tuple[int, Any]]:
    """Go through the pairs of a number tree."""
    pairs = list(tree.get("/Nums", ()))
    yield from ((int(n), value) for n, value in zip(pairs[::2], pairs[1::2], strict=True))
    for kid in tree.get("/Kids", ()):
        yield from numbers_of(kid)


def offer(folder: Path, target: Path, pages: int) -> None:
    """Name the file on the landing page, behind the archive."""
    first = folder / FIRST
    text = re.sub(r'<li class="whole-book">.*?</li>', "", first.read_text(encoding="utf-8"))
    link = posixpath.relpath(target.relative_to(folder).as_posix(), posixpath.dirname(FIRST))
    size = target.stat().st_size / 1e6
    line = (
        f'<li class="whole-book"><p><strong>Print.</strong> <a href="{link}">{target.name}</a> '
        f"is the whole book as one file: {pages} pages, {size:.0f} MB.</p></li>"
    )
    before, archive, behind = text.partition(f"{NAME}.zip")
    if not archive:
        raise ValueError(f"{first}: no link to {NAME}.zip, behind which the file is offered")
    first.write_text(
        before + archive + behind.replace("</li>", f"</li>{line}", 1), encoding="utf-8"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the built book, say where it is, and check it."""
    parser = argparse.ArgumentParser(prog="tools.pdf", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["print", "check"], default="print")
    options = parser.parse_args(arguments)
    target = HTML / f"{NAME}.pdf"
    needed = HTML / FIRST if options.what == "print" else target
    if not needed.is_file():
        print(f"no {shown(needed)}: run make pdf", file=sys.stderr)
        return 2
    start = time.monotonic()
    found = chapters(HTML)
    if options.what == "print":
        print("printing the book", flush=True)
        pages = print_book(HTML, found, target)
        size, seconds = target.stat().st_size / 1e6, time.monotonic() - start
        print(f"{pages} pages, {size:.1f} MB, {seconds:.0f} s: {shown(target)}", flush=True)
    statements = yaml.safe_load(STATEMENTS.read_text(encoding="utf-8"))
    titles = [row["title"] for row in statements if row.get("verify")]
    wrong = problems(target, found, titles)
    if wrong:
        print("\n".join(["the printed book is not as it must be:", *wrong]), file=sys.stderr)
        return 1
    if options.what == "print":
        offer(HTML, target, pages)
    print("every page, link, heading and statement of the printed book is in its place")
    return 0


if __name__ == "__main__":
    sys.exit(main())
