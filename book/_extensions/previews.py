"""What a link leads to can be read beside it: theorems, equations and terms of other pages.

A page opened from a file cannot ask for another one. So each page carries, in templates that the
browser neither shows nor typesets, the statements of other pages that it links to; previews.js
shows them. What stands on the same page is there already.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sphinx.application import Sphinx

ARTICLE = re.compile(r'<article class="bd-article".*?</article>', re.DOTALL)
LINK = re.compile(r'<a\b[^>]*?\bhref="(?P<path>[^"#:]+\.html)#(?P<name>[^"]+)"')
SHOWN = re.compile(
    r'<div class="(?:proof (?!admonition)|math )[^"]*" id="(?P<name>[^"]+)">'
    r'|<dt id="(?P<term>term-[^"]+)">.*?</dd>',
    re.DOTALL,
)
EDGE = re.compile(r"<div\b|</div>")
HEADING = re.compile(r'<article class="bd-article".*?<h1[^>]*>(.*?)</h1>', re.DOTALL)
PERMALINK = re.compile(r'<a class="headerlink".*?</a>', re.DOTALL)
MATHJAX = re.compile(
    r"<script>window\.MathJax = .*?</script>\s*"
    r'<script [^>]*src="(?P<path>[^"]*/)_static/mathjax/.*?</script>',
    re.DOTALL,
)
# A preview holds no link and no name: it stands on another page, and goes when the pointer goes.
LEFT_OUT = re.compile(r'</?a\b[^>]*>|\s(?:id|aria-label)="[^"]*"')


def plain(html: str) -> str:
    """Return a piece of a page without its links and names."""
    return LEFT_OUT.sub("", PERMALINK.sub("", html))


def end_of_box(html: str, start: int) -> int:
    """Return where the ``div`` that begins at a place of a page ends."""
    depth = 0
    for edge in EDGE.finditer(html, start):
        depth += 1 if edge[0] == "<div" else -1
        if depth == 0:
            return edge.end()
    raise ValueError("a div is not closed")


def shown_by(html: str) -> dict[str, str]:
    """Return what can be shown of a page, by name: its statements, equations and terms."""
    found = {}
    for match in SHOWN.finditer(html):
        if match["term"]:
            found[match["term"]] = f'<dl class="glossary">{plain(match[0])}</dl>'
        else:
            box = html[match.start() : end_of_box(html, match.start())]
            found[match["name"]] = plain(box)
    return found


def title_of(html: str) -> str:
    """Return the title of a page, with its number."""
    heading = HEADING.search(html)
    return plain(heading[1]).strip() if heading else ""


def templates(path: str, pages: Mapping[str, str], shown: Mapping[str, Any]) -> str:
    """Return the templates of a page: one for each thing of another page that it links to."""
    article = ARTICLE.search(pages[path])
    made: dict[str, str] = {}
    for link in LINK.finditer(article[0] if article else ""):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link["path"]))
        content = shown.get(target, {}).get(unquote(link["name"]))
        if content and target != path:
            where = f'<p class="preview-from">{title_of(pages[target])}</p>'
            made[f"{link['path']}#{link['name']}"] = where + content
    return "".join(
        f'<template class="preview" data-target="{escape(target, quote=True)}">{content}'
        "</template>\n"
        for target, content in sorted(made.items())
    )


def scripts_of_formulas(path: str, pages: Mapping[str, str]) -> str:
    """Return what typesets formulas, for a page that has none but in its previews."""
    found = (MATHJAX.search(html) for html in pages.values())
    scripts = next((match for match in found if match), None)
    if scripts is None or MATHJAX.search(pages[path]):
        return ""
    return scripts[0].replace(scripts["path"], "../" * path.count("/"))


def add_previews(folder: Path) -> None:
    """Give each page of a built book the templates that it needs; Sphinx's own stay as they are."""
    files = sorted((folder / "book").rglob("*.html"))
    pages = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in files}
    shown = {path: shown_by(html) for path, html in pages.items()}
    for path, html in pages.items():
        if made := templates(path, pages, shown):
            if 'class="math ' in made:
                html = html.replace("</head>", scripts_of_formulas(path, pages) + "</head>", 1)
            before, end, after = html.rpartition("</body>")
            (folder / path).write_text(before + made + end + after, encoding="utf-8")


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Do so after a build that succeeded."""
    if exception is None and app.builder.format == "html":
        add_previews(Path(app.outdir))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
