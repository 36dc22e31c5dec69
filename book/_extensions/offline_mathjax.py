"""MathJax 3 from an installed wheel, copied into the built book.

Sphinx points its pages at a MathJax on another host. The wheel ``sphinx-mathjax-offline`` carries
the same files; this extension copies the parts that typeset TeX as HTML, with their fonts and
their accessibility tree, below ``_static`` of the built book, so that the book reads with
networking off.

The copy goes to the output only. Below ``_static`` of the source, jupyter-book would load every
one of these scripts on every page.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

# The dashes make it impossible to import by statement, not to find.
WHEEL = "sphinx-mathjax-offline"

# startup.js, the components that _config.yml names, and what these load on demand. The rest of
# MathJax (a menu of 0.4 MB, SVG output, MathML input, speech in 12 languages) is what no page uses.
PARTS = (
    "startup.js",
    "core.js",
    "input/tex.js",
    "input/tex/extensions",
    "output/chtml.js",
    "output/chtml/fonts",
    "a11y/assistive-mml.js",
)


def mathjax_folder() -> Path:
    """Return the folder of MathJax in the installed wheel."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise ExtensionError(f"{WHEEL} is not installed: install the packages of requirements.txt")
    return Path(spec.origin).parent / "static" / "mathjax"


def use_local_mathjax(app: Sphinx, config: Config) -> None:
    """Point the pages at the copy; sphinx.ext.mathjax takes a relative path from _static."""
    config.mathjax_path = "mathjax/startup.js"


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Copy the parts of MathJax that pages use, after a build that succeeded."""
    if exception is not None or app.builder.format != "html":
        return
    source, target = mathjax_folder(), Path(app.outdir) / "_static" / "mathjax"
    for part in PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        elif (source / part).is_file():
            (target / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / part, target / part)
        else:
            raise ExtensionError(f"{WHEEL} has changed its layout: it has no {part}")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("config-inited", use_local_mathjax)
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
