"""Style sheets without rules that nothing in the book can match.

The theme's sheets serve every site: 0.4 MB, most of it for grids, cards and menus that the book
does not have, and the browser compares each element of a page with all of it. A selector goes when
it asks for a class or an id whose name stands neither in a page nor in a script.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

COMMENT = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|/\*.*?\*/""", re.DOTALL)
PIECE = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\\.|[{};]""", re.DOTALL)
WORD = re.compile(r"[A-Za-z_-][\w-]*")
# What a selector asks for; what it excludes or offers as a choice is left out before.
ASKED = re.compile(r"[.#]((?:\\.|[\w-])+)")
CHOICE = re.compile(r"\[[^\]]*\]|:[\w-]+\((?:[^()]|\([^()]*\))*\)")
GROUPS = ("@media", "@supports", "@layer", "@container")
# Scripts that write no class of the theme: they are large, or the styles are not theirs.
OTHERS = ("mathjax", "bokeh.min.js", "fontawesome.js")


def words_of(folder: Path) -> set[str]:
    """Return the words in the pages and scripts of a built book: all classes and ids are there."""
    known: set[str] = set()
    for path in [*folder.rglob("*.html"), *folder.rglob("*.js")]:
        if not set(OTHERS) & set(path.parts):
            known.update(WORD.findall(path.read_text(encoding="utf-8")))
    return known


def rules(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield the rules of a style sheet: what stands before the braces, and what between them."""
    depth, start, opened = 0, 0, 0
    for match in PIECE.finditer(text):
        piece = match[0]
        if piece == "{":
            depth += 1
            if depth == 1:
                opened = match.start()
        elif piece == "}":
            depth -= 1
            if depth == 0:
                yield text[start:opened].strip(), text[opened + 1 : match.start()]
                start = match.end()
        elif piece == ";" and depth == 0:
            yield text[start : match.start()].strip(), None
            start = match.end()


def selectors(text: str) -> list[str]:
    """Return the selectors of a list: its parts between commas that no bracket encloses."""
    parts, depth = [""], 0
    for piece in re.findall(r"\\.|[\[(]|[\])]|,|[^\\\[\](),]+", text):
        depth += (piece in "[(") - (piece in "])")
        if piece == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts]


def possible(selector: str, known: set[str]) -> bool:
    """Return whether an element may match: whether all names it asks for are known."""
    asked = ASKED.findall(CHOICE.sub("", selector))
    return all("\\" in name or name in known for name in asked)


def lean(text: str, known: set[str]) -> str:
    """Return a style sheet without the rules that nothing can match."""
    kept = []
    for before, between in rules(COMMENT.sub(lambda match: match[1] or "", text)):
        if between is None:
            kept.append(f"{before};")
        elif before.startswith(GROUPS):
            inner = lean(between, known)
            kept += [f"{before}{{{inner}}}"] if inner else []
        elif before.startswith("@"):
            kept.append(f"{before}{{{between}}}")
        else:
            some = [part for part in selectors(before) if possible(part, known)]
            kept += [f"{','.join(some)}{{{between}}}"] if some else []
    return "\n".join(kept)
