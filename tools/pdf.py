"""The whole book as one file for paper: its built pages, printed by Chromium.

Chromium writes the outline of a file, and cannot say in a document on which page a place is. So the
book is printed twice: the pages of its places are read from the first print, and filled in for the
second.
"""

from __future__ import annotations

import argparse
import itertools
import os
import posixpath
import re
import shutil
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright

from tools.archive import NAME
from tools.one_document import FIRST, document
from tools.settings import HTML, shown

__all__ = ["main", "objects_of", "offer", "packed", "page_numbers", "print_book"]

WIDTH = 627  # pixels of 1/96 inch between the margins that pdf.css sets
PACK = 500  # small objects that are compressed together
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


def objects_of(pdf: bytes) -> dict[int, bytes]:
    """Return the objects of a file of Chromium's by their numbers, as its table says."""
    start = int(pdf[pdf.rindex(b"startxref") :].split()[1])
    entries = re.findall(rb"(\d{10}) \d{5} ([nf])", pdf[start : pdf.index(b"trailer", start)])
    places = {number: int(at) for number, (at, kind) in enumerate(entries) if kind == b"n"}
    ends = dict(itertools.pairwise([*sorted(places.values()), start]))
    texts = {number: pdf[at : ends[at]].strip() for number, at in places.items()}
    return {
        number: text.removeprefix(b"%d 0 obj" % number).removesuffix(b"endobj").strip()
        for number, text in texts.items()
    }


def page_numbers(pdf: bytes) -> dict[str, int]:
    """Return the page, from 1, of each place in a file of Chromium's to which a link leads."""
    objects = objects_of(pdf)

    def leaves(number: bytes) -> list[bytes]:
        kids = re.search(rb"/Kids \[(.*?)\]", objects[int(number)])
        if kids is None:
            return [number]
        return [leaf for kid in re.findall(rb"(\d+) 0 R", kids[1]) for leaf in leaves(kid)]

    root = next(text for text in objects.values() if b"/Type /Catalog" in text)
    pages, places = (re.search(rb"/%s (\d+) 0 R" % key, root) for key in (b"Pages", b"Dests"))
    assert pages is not None, "not a file of Chromium's"
    order = {leaf: k for k, leaf in enumerate(leaves(pages[1]), 1)}
    named = re.findall(rb"/(\S+) \[(\d+) 0 R", objects[int(places[1])]) if places else []
    return {name.decode(): order[page] for name, page in named}


def packed(pdf: bytes) -> bytes:
    """Return a file with its small objects compressed together; Chromium leaves them plain.

    Most of them say what is a heading, a paragraph or a link, and were half of the file.
    """
    objects = objects_of(pdf)
    out = bytearray(b"%PDF-1.5\n%\xd3\xeb\xe9\xe1\n")
    rows = {0: (0, 0, 65535)}  # free, at an offset, or in a pack at an index

    def write(number: int, entries: bytes, content: bytes) -> None:
        rows[number] = (1, len(out), 0)
        stream = zlib.compress(content, 9)
        out.extend(b"%d 0 obj\n<<%s /Filter /FlateDecode " % (number, entries))
        out.extend(b"/Length %d>> stream\n%s\nendstream\nendobj\n" % (len(stream), stream))

    for number, text in objects.items():
        if text.endswith(b"endstream"):
            rows[number] = (1, len(out), 0)
            out.extend(b"%d 0 obj\n%s\nendobj\n" % (number, text))
    small = [number for number in objects if number not in rows]
    following = max(objects) + 1
    for pack in (small[k : k + PACK] for k in range(0, len(small), PACK)):
        sizes = itertools.accumulate((len(objects[n]) + 1 for n in pack), initial=0)
        head = b" ".join(b"%d %d" % pair for pair in zip(pack, sizes, strict=False)) + b"\n"
        body = b"\n".join(objects[number] for number in pack)
        write(following, b"/Type /ObjStm /N %d /First %d" % (len(pack), len(head)), head + body)
        rows.update((number, (2, following, k)) for k, number in enumerate(pack))
        following += 1
    keys = b" ".join(re.findall(rb"/(?:Root|Info) \d+ 0 R", pdf[pdf.rindex(b"trailer") :]))
    start = len(out)
    rows[following] = (1, start, 0)
    table = b"".join(struct.pack(">BIH", *rows.get(k, rows[0])) for k in range(following + 1))
    write(following, b"/Type /XRef /W [1 4 2] /Size %d %s" % (following + 1, keys), table)
    return bytes(out) + b"startxref\n%d\n%%%%EOF\n" % start


FILL = """pages => document.querySelectorAll('.page-of').forEach(e => {
  e.textContent = pages[e.dataset.of];
})"""
READY = """async () => {
  await MathJax.startup.promise;
  document.querySelectorAll("mjx-assistive-mml").forEach(e => e.remove());
  // The formulas fit this width: the pages' scripts need not fit them anew for each print.
  const stop = event => event.stopImmediatePropagation();
  for (const kind of ["beforeprint", "afterprint"]) window.addEventListener(kind, stop, true);
  await document.fonts.ready;
  for (const image of document.images) await image.decode();
}"""


def print_book(folder: Path, target: Path) -> int:
    """Print the book in a folder into a file and return the number of its pages."""
    # Beside the pages, for their scripts, styles and pictures.
    with tempfile.NamedTemporaryFile("w", suffix=".html", dir=folder, encoding="utf-8") as file:
        file.write(document(folder))
        file.flush()
        with sync_playwright() as playwright:
            path = os.environ.get("CHROMIUM") or shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
            # At the width of the paper, so that formulas are broken into lines for it.
            tab = browser.new_page(viewport={"width": WIDTH, "height": 900}, device_scale_factor=2)
            tab.set_default_timeout(0)  # formulas of the whole book take minutes
            tab.emulate_media(media="print", color_scheme="light")
            tab.goto(Path(file.name).as_uri())
            tab.evaluate(READY)
            tab.evaluate(FILL, page_numbers(tab.pdf(prefer_css_page_size=True)))
            pdf = tab.pdf(prefer_css_page_size=True, outline=True, tagged=True)
            browser.close()
    target.write_bytes(packed(pdf))
    return pdf.count(b"/Type /Page\n")


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
    """Print the built book and say where it is."""
    parser = argparse.ArgumentParser(prog="tools.pdf", description=__doc__)
    parser.parse_args(arguments)
    if not (HTML / FIRST).is_file():
        print("the book is not built: run make book first", file=sys.stderr)
        return 2
    start = time.monotonic()
    print("printing the book", flush=True)
    target = HTML / f"{NAME}.pdf"
    pages = print_book(HTML, target)
    offer(HTML, target, pages)
    size, seconds = target.stat().st_size / 1e6, time.monotonic() - start
    print(f"{pages} pages, {size:.1f} MB, {seconds:.0f} s: {shown(target)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
