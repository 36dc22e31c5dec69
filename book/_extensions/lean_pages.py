"""Pages without what they do not use: scripts for a dozen icons, rules of style for other sites.

The theme loads all of Font Awesome, 1.5 MB of outlines, for the icons on its buttons, and the index
of the whole book with every page. After the build this extension draws the icons into the pages, as
the script would do in the browser, drops the index from all pages but that of the search, where the
search field leads, and the rules of style that no element can match; pictures become lossless WebP.
It also mends what makes a
page harder to hear than to see.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lean_images import encode_all, with_webp
from lean_styles import lean, words_of
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

ICONS = "scripts/fontawesome.js"
# name:[width,height,[other names],"code point","outline"] in an object of the script.
OUTLINE = re.compile(
    r'"?(?P<name>[a-z0-9-]+)"?:\[(?P<width>\d+),(?P<height>\d+),\[(?P<others>[^\]]*)\],'
    r'"[0-9a-f]+","(?P<path>[^"]*)"\]'
)
ICON = re.compile(
    r'<(?P<tag>i|span) class="(?P<classes>[^"]*\bfa-[^"]*)"(?P<more>[^>]*)></(?P=tag)>'
)
LOADED = re.compile(
    r'<script [^>]*\bsrc="[^"]*\bscripts/fontawesome\.js[^"]*"></script>\s*'
    r'|<link [^>]*\bhref="[^"]*\bscripts/fontawesome\.js[^"]*"\s*/>\s*'
)
SEARCH = re.compile(
    r'<script src="[^"]*\b(?:searchtools|language_data|searchindex)\.js[^"]*"></script>\s*'
)
MENDED = {
    # docutils calls references a list of entries in a role that is withdrawn: screen readers then
    # find a list without entries.
    ' role="list"': "",
    ' role="doc-biblioentry"': "",
    # What can be seen on these is what they are called; the names differ from it.
    '<summary aria-label="Toggle hidden content">': "<summary>",
    ' search-button-field search-button__button pst-js-only" title="Search" aria-label="Search"': (
        ' search-button-field search-button__button pst-js-only"'
    ),
    # The logo and its title lie in no part of the page that a screen reader can name.
    '<div class="sidebar-primary-items__start sidebar-primary__section">': (
        '<div class="sidebar-primary-items__start sidebar-primary__section" role="region" '
        'aria-label="Book">'
    ),
}


def outlines(script: str) -> dict[str, str]:
    """Return the icons of Font Awesome as SVG, by all their names."""
    found: dict[str, str] = {}
    for match in OUTLINE.finditer(script):
        # A name stands in each of three styles; the last is the solid one, which the theme uses.
        box = f"0 0 {match['width']} {match['height']}"
        drawn = f'viewBox="{box}"><path fill="currentColor" d="{match["path"]}"/></svg>'
        for name in (match["name"], *re.findall(r'"([a-z0-9-]+)"', match["others"])):
            found[name] = drawn
    return found


def with_icons(page: str, icons: dict[str, str]) -> str:
    """Return a page with its icons drawn in it."""

    def draw(match: re.Match[str]) -> str:
        names = match["classes"].split()
        drawn = next((icons[n[3:]] for n in names if n.startswith("fa-") and n[3:] in icons), None)
        if drawn is None:
            raise ExtensionError(f"no outline for {match[0]}: {ICONS} has changed its form")
        # The classes of size and of the theme stay; those of the font would load it.
        kept = [n for n in names if n not in {"fas", "fa-solid"} and n[3:] not in icons]
        classes = " ".join(["drawn-icon", *kept])
        return f'<svg class="{classes}"{match["more"]} aria-hidden="true" {drawn}'

    return LOADED.sub("", ICON.sub(draw, page))


def make_lean(app: Sphinx, exception: Exception | None) -> None:
    """Make the pages and styles of the built book lean, after a build that succeeded."""
    if exception is None and app.builder.format == "html":
        make_folder_lean(Path(app.outdir))


def make_folder_lean(folder: Path) -> None:
    """Make the pages and styles in a folder lean; once more changes nothing."""
    icons = outlines((folder / "_static" / ICONS).read_text(encoding="utf-8"))
    sizes = encode_all(folder / "_images")
    for path in folder.rglob("*.html"):
        if "_static" in path.parts:
            continue
        page = with_webp(with_icons(path.read_text(encoding="utf-8"), icons), sizes)
        if path.name != "search.html":
            page = SEARCH.sub("", page)
        for old, new in MENDED.items():
            page = page.replace(old, new)
        path.write_text(page, encoding="utf-8")
    drop_maps(folder / "_static")
    known = words_of(folder)
    for path in (folder / "_static").rglob("*.css"):
        path.write_text(lean(path.read_text(encoding="utf-8"), known), encoding="utf-8")


def drop_maps(folder: Path) -> None:
    """Drop the maps from the theme's scripts to their sources, which only its authors use."""
    for path in list(folder.rglob("*.map")):
        script = path.with_suffix("")
        if script.is_file():
            named = f"sourceMappingURL={path.name}"
            text = script.read_text(encoding="utf-8")
            script.write_text(text.replace(f"//# {named}", ""), encoding="utf-8")
        path.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("build-finished", make_lean)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
