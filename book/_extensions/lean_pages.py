"""Pages without what they do not use: icons that none shows, and the search where none is done.

The theme loads all of Font Awesome, 1.5 MB of outlines, for a dozen icons on its buttons, and the
index of the whole book with every page. After the build this extension drops the outlines that
neither a page nor another script names, and the index from all pages but that of the search, where
the search field leads.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

SCRIPT = "scripts/fontawesome.js"
# name:[width,height,[other names],"code point","outline"] in an object of the script.
OUTLINE = re.compile(
    r'"?(?P<name>[a-z0-9-]+)"?:\[\d+,\d+,\[(?P<others>[^\]]*)\],"[0-9a-f]+",'
    r'(?:"[^"]*"|\[[^\]]*\])\],?'
)
SEARCH = re.compile(
    r'<script src="[^"]*\b(?:searchtools|language_data|searchindex)\.js[^"]*"></script>\s*'
)
# docutils calls references a list of entries in a role that is withdrawn: screen readers then find
# a list without entries.
ROLES = (' role="list"', ' role="doc-biblioentry"')
NAMED = re.compile(r"\bfa-([a-z0-9-]+)")


def icons_of(folder: Path) -> set[str]:
    """Return the names of icons in pages and scripts, without the script of the icons itself."""
    files = [path for kind in ("html", "js") for path in folder.rglob(f"*.{kind}")]
    names: set[str] = set()
    for path in files:
        if path.name != Path(SCRIPT).name and "mathjax" not in path.parts:
            names.update(NAMED.findall(path.read_text(encoding="utf-8")))
    return names


def without_others(script: str, names: set[str]) -> str:
    """Return the script with the outlines of these icons alone."""

    def keep(match: re.Match[str]) -> str:
        known = {match["name"], *re.findall(r"[a-z0-9-]+", match["others"])}
        return match[0] if known & names else ""

    return OUTLINE.sub(keep, script)


def make_lean(app: Sphinx, exception: Exception | None) -> None:
    """Drop both from the built book, after a build that succeeded."""
    if exception is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    script = folder / "_static" / SCRIPT
    before = script.read_text(encoding="utf-8")
    after = without_others(before, icons_of(folder))
    if before == after and len(before) > 500_000:
        raise ExtensionError(f"{SCRIPT} has changed its form: no outline was found in it")
    script.write_text(after, encoding="utf-8")
    for page in folder.rglob("*.html"):
        if page.name != "search.html" and "_static" not in page.parts:
            text = SEARCH.sub("", page.read_text(encoding="utf-8"))
            for role in ROLES:
                text = text.replace(role, "")
            page.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("build-finished", make_lean)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
