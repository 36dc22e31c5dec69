"""What a search engine or a message shows of a page, and a sitemap of the book.

Each page is described by its own first paragraph. Addresses need to know where the book stands:
BOOK_URL in the environment of the build says it, or ``html_baseurl`` in the configuration. With it
pages name their own address, and ``sitemap.xml`` lists all; without it no page names a host.
"""

from __future__ import annotations

import os
import re
from html import escape, unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

SHORTEST, LONGEST = 60, 200  # characters of a description
COVER = "_static/cover.png"
SITEMAP = """<?xml version="1.0" encoding="utf-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
{}
</urlset>
"""


def plain(paragraph: nodes.Element) -> str:
    """Return the words of a paragraph up to its first formula that needs TeX."""
    words = []
    for node in paragraph.findall(nodes.Text):
        if isinstance(node.parent, nodes.math) and re.search(r"[\\^_{]", node):
            break
        words.append(node.astext())
    return " ".join("".join(words).split())


def shortened(text: str, whole: bool) -> str:
    """Return as many whole sentences, or else clauses, as a description may hold."""
    if whole and len(text) <= LONGEST:
        return text
    text = text[:LONGEST]
    for ends in (r"[.:](?= |$)", r";(?= |$)", r",(?= |$)"):
        found = [match.start() for match in re.finditer(ends, text)]
        if found and found[-1] >= SHORTEST:
            return text[: found[-1]] + "."
    return text.rpartition(" ")[0] + " …"


def description(doctree: nodes.document | None, title: str, otherwise: str) -> str:
    """Return what describes a page: its first paragraph, if that says something in words."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree else ():
        if isinstance(paragraph.parent, nodes.section):
            text = plain(paragraph)
            whole = text == " ".join(paragraph.astext().split())
            if len(text) >= SHORTEST:
                return shortened(text, whole)
            break
    return f"{title}. {otherwise}"


def find_address(app: Sphinx, config: Config) -> None:
    """Take the address of the published book from the environment, where it is given."""
    address = os.environ.get("BOOK_URL") or config.html_baseurl
    if address and not re.match(r"https?://[^/\s]+\S*$", address):
        raise ExtensionError(f"BOOK_URL is the address of the book, https://...; given: {address}")
    config.html_baseurl = address.rstrip("/") + "/" if address else ""


def describe(
    app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Add a page's title, description and, where it is known, its address to its head."""
    title = unescape(re.sub(r"^[\d.]+ |<[^>]*>", "", context.get("title", "")))
    text = description(doctree, title, app.config.page_description)
    tags = {"name=description": text, "property=og:title": title, "property=og:description": text}
    if base := app.config.html_baseurl:
        tags["property=og:url"] = urljoin(base, f"{name}.html")
        tags["property=og:image"] = urljoin(base, COVER)
    lines = []
    for key, value in tags.items():
        kind, _, what = key.partition("=")
        lines.append(f'<meta {kind}="{what}" content="{escape(value)}" />')
    context["metatags"] = "\n".join([context.get("metatags", ""), *lines])


def write_sitemap(app: Sphinx, exception: Exception | None) -> None:
    """List the addresses of all pages, after a build that succeeded and knows them."""
    if exception is None and app.builder.format == "html" and app.config.html_baseurl:
        urls = [urljoin(app.config.html_baseurl, f"{name}.html") for name in app.env.found_docs]
        lines = [f"<url><loc>{escape(url)}</loc></url>" for url in sorted(urls)]
        text = SITEMAP.format("\n".join(lines))
        (Path(app.outdir) / "sitemap.xml").write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_config_value("page_description", "", "html", str)
    app.connect("config-inited", find_address)
    app.connect("html-page-context", describe)
    app.connect("build-finished", write_sitemap)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
