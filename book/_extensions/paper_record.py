"""The record as the pages show it, and where the book treats what it names.

What is read, and how, says :mod:`tools.record`. The chapter of a statement is the notebook whose
ledger names it.

What does not fit together is a warning, so that a build with ``-W`` fails: a ledger or badge that
names an unknown statement, one statement in two ledgers, a ledger without its badge, an item that
refers to an unknown one.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging

from reluspec_lib import ledger
from tools import mutants
from tools import record as book_record
from tools.record import KINDS

logger = logging.getLogger(__name__)


def warn(message: str, location: Any = None) -> None:
    """Issue a warning of this extension."""
    logger.warning(message, location=location, type="reluspec", subtype="verification")


def load_ledgers(
    env: BuildEnvironment, statements: dict[str, dict[str, Any]]
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return statement -> (docname, ledger) from the stored outputs of the book's notebooks."""
    ledgers: dict[str, tuple[str, dict[str, Any]]] = {}
    for docname in sorted(env.found_docs):
        path = Path(env.doc2path(docname))
        if path.suffix != ".ipynb":
            continue
        for record in ledger.read(path):
            statement = record["statement"]
            if statement not in statements:
                warn(f"ledger of {statement!r}, which statements.yml does not list", docname)
            elif not statements[statement].get("verify"):
                warn(f"ledger of {statement!r}, not marked 'verify' in statements.yml", docname)
            elif statement in ledgers:
                warn(f"second ledger of {statement!r}, after {ledgers[statement][0]}", docname)
            else:
                ledgers[statement] = (docname, record)
    return ledgers


def read_sources(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Read both sources; return the pages to build again because a source changed."""
    try:
        env.reluspec_statements = book_record.load_statements()
        env.reluspec_equations = book_record.load_equations()
    except ValueError as error:
        raise ExtensionError(str(error)) from None
    env.reluspec_ledgers = load_ledgers(env, env.reluspec_statements)
    paths = {name: Path(env.doc2path(name)) for name in sorted(env.found_docs)}
    rows = list(book_record.rows([path for path in paths.values() if path.suffix == ".ipynb"]))
    env.reluspec_covered = book_record.covered(rows)
    env.reluspec_chapters = {path.stem: name for name, path in paths.items()}
    env.reluspec_simulated = book_record.simulated(rows)
    env.reluspec_scores = book_record.scores(mutants.STORED)
    content = json.dumps(
        [
            env.reluspec_statements,
            env.reluspec_equations,
            env.reluspec_ledgers,
            env.reluspec_scores,
        ],
        sort_keys=True,
    )
    digest = hashlib.sha256(content.encode()).hexdigest()
    known, env.reluspec_digest = getattr(env, "reluspec_digest", None), digest
    pages = getattr(env, "reluspec_pages", {})
    return [] if known == digest else sorted(pages.keys() & env.found_docs)


def check_consistency(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn where the record, the badges and statements.yml do not fit together."""
    pages = getattr(env, "reluspec_pages", {})
    for statement, (docname, _) in env.reluspec_ledgers.items():
        if statement not in pages.get(docname, {}).get("verified", []):
            warn(f"ledger of {statement!r} without a {{verified}} badge in its chapter", docname)
        if anchor(env, statement) is None:
            warn(f"ledger of {statement!r}, but nothing in the book has this label", docname)
    for docname, shown in pages.items():
        for statement in shown.get("verified", []):
            if env.reluspec_ledgers.get(statement, (docname,))[0] != docname:
                warn(f"badge of {statement!r} outside the chapter that verifies it", docname)
    for statement, item in env.reluspec_statements.items():
        for other in item.get("see", []):
            # A page that does not exist yet is one that will be written; an id must exist.
            if not other.startswith("book/") and other not in env.reluspec_statements:
                warn(f"statements.yml: {statement} refers to unknown {other!r}")


def anchor(env: BuildEnvironment, label: str) -> tuple[str, str] | None:
    """Return (docname, id) of what carries this label: theorem, equation, section or figure."""
    proof = getattr(env, "proof_list", {}).get(label)
    if proof:
        return proof["docname"], label
    equation = env.get_domain("math").equations.get(label)
    if equation:
        return equation[0], nodes.make_id(f"equation-{label}")
    target = env.get_domain("std").anonlabels.get(label)
    return (target[0], target[1]) if target else None


def addresses(env: BuildEnvironment, statement: str) -> list[tuple[str, str]]:
    """Return where the book treats an item: its ledger's chapter, its label, or what it names."""
    found = anchor(env, statement)
    if statement in env.reluspec_ledgers:
        chapter = env.reluspec_ledgers[statement][0]
        return [found if found and found[0] == chapter else (chapter, "")]
    if found:
        return [found]
    result: list[tuple[str, str]] = []
    for other in env.reluspec_statements[statement].get("see", []):
        if other in env.reluspec_statements:
            result += addresses(env, other)
        elif other in env.found_docs:
            result.append((other, ""))
    return list(dict.fromkeys(result))


def state_of(env: BuildEnvironment, statement: str) -> str:
    """Return what the book did with an item: the file says it, or the ledgers do."""
    item = env.reluspec_statements[statement]
    if item.get("state"):
        return str(item["state"])
    if item.get("verify"):
        record = env.reluspec_ledgers.get(statement, (None, None))[1]
        if record is None:
            return "not verified yet"
        passed = [status == "passed" for status in record["status"].values()]
        return "verified" if all(passed) else "partly verified"
    others = [other for other in item.get("see", []) if other in env.reluspec_statements]
    if others and all(state_of(env, other) == "verified" for other in others):
        return "verified"
    return "treated" if addresses(env, statement) else "not treated"


def name_of(item: dict[str, Any]) -> str:
    """Return for example 'Theorem 3.1', or the title of what has no number."""
    return f"{KINDS[item['kind']]} {item['number']}" if item.get("number") else item["title"]


def telling_name(item: dict[str, Any]) -> str:
    """Return the name of an item; of a claim, which has no number, what it says."""
    if item["kind"] != "claim":
        return name_of(item)
    title: str = item["title"].replace("$", "")
    return title[0].upper() + title[1:]


def chapter_title(env: BuildEnvironment, docname: str) -> str:
    """Return the number and title of a page."""
    number = env.toc_secnumbers.get(docname, {}).get("", ())
    prefix = ".".join(map(str, number)) + ". " if number else ""
    return prefix + env.titles[docname].astext()
