"""Links from names in code to the API page: what sphinx_codeautolink leaves to be done.

It looks for a function or class where that is defined. A public module may take what it offers from
a private one, and the API page shows it under the public name: :func:`moved_names` tells the way.

It parses and writes each finished page anew to put links into its code, which took most of the
build: :func:`link_html` does that to the blocks of code alone.
"""

from __future__ import annotations

import html
import inspect
import pkgutil
import re
from collections import defaultdict
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import sphinx_codeautolink.extension as codeautolink
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging
from sphinx_codeautolink.extension.block import construct_name_pattern

import reluspec_lib

logger = logging.getLogger(__name__)

# A block as Sphinx writes it, and its highlighted code, in which Pygments nests no tags.
BLOCK = re.compile(
    r'(?<=notranslate"><div class="highlight"><pre>)<span></span>(.*?)(?=</pre>)', re.DOTALL
)
TAG = re.compile(r"<[^>]*>")


def public_modules() -> list[ModuleType]:
    """Return the modules of the library whose names have no underscore."""
    found = pkgutil.walk_packages(reluspec_lib.__path__, "reluspec_lib.")
    return [import_module(name) for _, name, _ in found if "._" not in name]


def moved_names(modules: Sequence[ModuleType]) -> dict[str, str]:
    """Return the name on the API page for each name that leads elsewhere, also of a method."""
    names = {}
    for module in modules:
        for name in getattr(module, "__all__", []):
            thing = getattr(module, name)
            home = getattr(thing, "__module__", "")
            if not (inspect.isclass(thing) or inspect.isfunction(thing)) or "._" not in home:
                continue
            members = [member for member in vars(thing) if not member.startswith("_")]
            for path in (name, *(f"{name}.{member}" for member in members)):
                names[f"{home}.{path}"] = f"{module.__name__}.{path}"
    # Notebooks import a module of a part from the package.
    for name in reluspec_lib._MODULES:
        module = getattr(reluspec_lib, name)
        for path in ("", *(f".{member}" for member in module.__all__)):
            names[f"reluspec_lib.{name}{path}"] = f"{module.__name__}{path}"
    return names


def plain(code: str) -> str:
    """Return highlighted code as it was before."""
    return html.unescape(TAG.sub("", code)).rstrip()


def link_html(
    document: str,
    out_dir: str,
    transforms: Sequence[Any],
    inventory: dict[str, str],
    *options: object,
    **more: object,
) -> None:
    """Put links into the code of a finished page, as the function of this name does."""
    page = Path(out_dir) / f"{document}.html"
    text = page.read_text(encoding="utf-8")
    root = "../" * document.count("/")
    waiting = defaultdict(list)
    for block in BLOCK.finditer(text):
        waiting[plain(block[1])].append(block)
    linked = {}
    for transform in transforms:
        blocks = waiting[transform.source.rstrip()]
        if not blocks:
            logger.warning("no block of code is:\n%s", transform.source, location=document)
            continue
        block = blocks.pop(0)
        lines = block[0].split("\n")
        for name in transform.names:
            link_name(lines, name, root + inventory[name.resolved_location], document)
        linked[block.start()] = "\n".join(lines)
    page.write_text(
        BLOCK.sub(lambda block: linked.get(block.start(), block[0]), text), encoding="utf-8"
    )


def link_name(lines: list[str], name: Any, target: str, document: str) -> None:
    """Put the link to one name into these highlighted lines."""
    rows = slice(name.lineno - 1, name.end_lineno)
    selection = "\n".join(lines[rows])
    matches = list(re.finditer(construct_name_pattern(name), selection))
    if not matches:
        logger.warning("no %s in:\n%s", name.code_str, plain(selection), location=document)
        return
    # From the right, because of a.b = a.b; the first group is what stands before the name.
    start, end = matches[-1].span()
    start += len(matches[-1][1])
    title = name.resolved_location
    link = f'<a href="{target}" title="{title}" class="sphinx-codeautolink-a">'
    changed = f"{selection[:start]}{link}{selection[start:end]}</a>{selection[end:]}"
    lines[rows] = changed.split("\n")


def tell(app: Sphinx, config: Config) -> None:
    """Set the option before sphinx_codeautolink reads it."""
    config.codeautolink_inventory_map = moved_names(public_modules())


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("config-inited", tell)
    codeautolink.link_html = link_html
    return {"parallel_read_safe": True, "parallel_write_safe": True}
