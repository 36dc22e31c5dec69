"""Rules that every notebook of the book keeps, each a function that returns what breaks it.

They close what nbval leaves open (cells never run, markers that switch it off) and keep notebooks
readable: short cells, more prose than code, figures with captions and alternative text. What ruff
knows stands in its configuration: banned imports and names, global random state.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from reluspec_lib.ledger import MIME_TYPE as LEDGER
from tools.notebooks import normalised, read, to_text
from tools.settings import find_notebooks, shown

__all__ = ["LEDGER", "RULES", "problems"]

CODE_LINES = 25
WORDS_PER_LINE = 4
ALT_LENGTH = 20
FILE_BYTES = 2_000_000
TAGS = {"hide-cell", "hide-input", "hide-output", "remove-cell", "remove-input"}
HIDDEN = {"hide-cell", "hide-input"}

Rule = Callable[[NotebookNode], list[str]]
RULES: dict[str, Rule] = {}


def rule(check: Rule) -> Rule:
    """Enter a function into the rules."""
    RULES[check.__name__] = check
    return check


def code_cells(nb: NotebookNode) -> list[tuple[str, NotebookNode]]:
    """Return the code cells with the name by which a message calls each."""
    cells = [cell for cell in nb.cells if cell.cell_type == "code"]
    return [(f"code cell {k} ({cell.get('id', 'no id')})", cell) for k, cell in enumerate(cells, 1)]


def tree(cell: NotebookNode) -> ast.Module:
    """Return the syntax tree of a cell, empty where it is not Python (a rule of its own)."""
    try:
        return ast.parse(str(cell.source))
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def dotted(node: ast.AST) -> str:
    """Return ``a.b.c`` for nested attributes of a name, else an empty string."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""


def shows(statements: Sequence[ast.stmt]) -> bool:
    """Return whether top-level statements certainly give an output."""
    for statement in statements:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            function = dotted(statement.value.func)
            if function in {"print", "display"} or function.endswith("plt.show"):
                to_file = any(word.arg == "file" for word in statement.value.keywords)
                if not to_file:
                    return True
        elif isinstance(statement, (ast.For, ast.With)) and shows(statement.body):
            return True
    last = statements[-1] if statements else None
    # A call may return None; whether one shows something, nbval sees by running it.
    silent = (ast.Call, ast.Constant, ast.Await)
    return isinstance(last, ast.Expr) and not isinstance(last.value, silent)


def texts(output: Any) -> Iterator[str]:
    """Yield the readable texts of an output; base64 images hold any string by chance."""
    if "text" in output:
        yield output["text"]
    for mime, data in output.get("data", {}).items():
        if not mime.startswith("image/") or mime == "image/svg+xml":
            yield data if isinstance(data, str) else repr(data)


def markdown(nb: NotebookNode) -> str:
    """Return the text of all Markdown cells."""
    return "\n\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")


@rule
def executed_in_order(nb: NotebookNode) -> list[str]:
    """Code cells were run once, from top to bottom: their counts are 1..n."""
    counts = [cell.execution_count for _, cell in code_cells(nb)]
    if counts == list(range(1, len(counts) + 1)):
        return []
    return [f"execution counts are {counts}, not 1..{len(counts)}: run make notebooks"]


@rule
def outputs_stored(nb: NotebookNode) -> list[str]:
    """A cell that shows something has its output stored."""
    return [
        f"{name}: it shows something but no output is stored"
        for name, cell in code_cells(nb)
        if not cell.outputs and shows(tree(cell).body)
    ]


@rule
def no_failures_stored(nb: NotebookNode) -> list[str]:
    """No stored output is an error or was written to stderr."""
    return [
        f"{name}: a stored output is {'an error' if output.output_type == 'error' else 'on stderr'}"
        for name, cell in code_cells(nb)
        for output in cell.outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


@rule
def plain_python(nb: NotebookNode) -> list[str]:
    """Cells are Python: no magics, no shell, and no ``;`` where ruff lets it silence a cell."""
    found = []
    for name, cell in code_cells(nb):
        try:
            module = ast.parse(cell.source)
            tokens = list(tokenize.generate_tokens(io.StringIO(cell.source).readline))
        except SyntaxError as error:
            found.append(f"{name}: not plain Python in line {error.lineno} (a magic or a shell?)")
            continue
        if any(token.type == tokenize.OP and token.string == ";" for token in tokens):
            found.append(f"{name}: a semicolon; end plots with plt.show()")
        if any(
            isinstance(node, ast.Name) and node.id == "get_ipython" for node in ast.walk(module)
        ):
            found.append(f"{name}: get_ipython belongs to the interactive shell")
    return found


@rule
def seeded(nb: NotebookNode) -> list[str]:
    """A generator has a seed, and a distribution of scipy a generator."""
    found = []
    for name, cell in code_cells(nb):
        for node in ast.walk(tree(cell)):
            if isinstance(node, ast.Call):
                function = getattr(node.func, "attr", dotted(node.func))
                keywords = {keyword.arg for keyword in node.keywords}
                if function == "default_rng" and not node.args and not keywords:
                    found.append(f"{name}: default_rng() without a seed")
                if function == "rvs" and "random_state" not in keywords:
                    found.append(f"{name}: rvs without random_state")
    return found


@rule
def figures_described(nb: NotebookNode) -> list[str]:
    """Every image is a PNG with alternative text, a caption without bare TeX, and a name."""
    found = []
    for name, cell in code_cells(nb):
        images = [
            mime
            for output in cell.outputs
            for mime in output.get("data", {})
            if mime.startswith("image/")
        ]
        about = cell.metadata.get("mystnb", {})
        figure, alt = about.get("figure", {}), about.get("image", {}).get("alt", "")
        if not images and (figure or alt):
            found.append(f"{name}: its metadata describe a figure, but no image is stored")
        if not images:
            continue
        if images != ["image/png"]:
            found.append(f"{name}: gives {', '.join(images)}; one PNG a cell can be described")
        if len(alt) < ALT_LENGTH:
            found.append(
                f"{name}: mystnb.image.alt says in {ALT_LENGTH} characters or more what the "
                f"figure shows; it is {alt!r}"
            )
        found += [
            f"{name}: mystnb.figure.{key} is missing"
            for key in ("caption", "name")
            if not figure.get(key)
        ]
        caption = figure.get("caption", "")
        outside = re.sub(r"\$[^$]*\$", "", caption)
        if "$" in outside or "\\" in outside or r"\\" in caption:
            found.append(f"{name}: mystnb.figure.caption shows TeX as text: {caption!r}")
    return found


@rule
def no_machine_paths(nb: NotebookNode) -> list[str]:
    """No path of somebody's machine in sources or outputs."""
    folders = "home|Users|root|work|tmp|var|private|opt|usr|mnt|media|srv"
    path = re.compile(rf"(?<![\w.:/<])/(?:{folders})/[\w.-]+|\b[A-Za-z]:\\+(?:Users|Temp|Windows)")
    found = []
    for k, cell in enumerate(nb.cells, 1):
        parts = [cell.source]
        for output in cell.get("outputs", []):
            parts += texts(output)
        found += [f"cell {k}: path {match[0]}" for part in parts for match in path.finditer(part)]
    return found


@rule
def no_exemptions(nb: NotebookNode) -> list[str]:
    """Nothing exempts a cell from verification, and only tags that are known here are used."""
    found = []
    for name, cell in code_cells(nb):
        marker = re.search(r"#\s*((?:NBVAL|PYTEST_VALIDATE)_\w+)", cell.source)
        if marker:
            found.append(f"{name}: marker {marker[1]}")
        unknown = sorted(set(cell.metadata.get("tags", [])) - TAGS)
        if unknown:
            found.append(f"{name}: tags {unknown}; allowed are {sorted(TAGS)}")
    return found


@rule
def short_cells(nb: NotebookNode) -> list[str]:
    """A code cell fits on a screen."""
    return [
        f"{name}: {lines} lines, at most {CODE_LINES}; split it or move code to reluspec_lib"
        for name, cell in code_cells(nb)
        if (lines := len(cell.source.splitlines())) > CODE_LINES
    ]


@rule
def more_prose_than_code(nb: NotebookNode) -> list[str]:
    """The notebook explains: at least four words of Markdown for a line of code."""
    lines = sum(len(cell.source.splitlines()) for _, cell in code_cells(nb))
    words = len(markdown(nb).split())
    if words >= WORDS_PER_LINE * lines:
        return []
    return [f"{words} words for {lines} lines of code, at least {WORDS_PER_LINE * lines} words"]


@rule
def normal_form(nb: NotebookNode) -> list[str]:
    """The file is what make notebooks writes: no metadata of an editor, a machine or a run."""
    if to_text(nb) == to_text(normalised(nb)):
        return []
    extra = [
        f"cell {k}: {sorted(set(before.metadata) - set(after.metadata))}"
        for k, (before, after) in enumerate(zip(nb.cells, normalised(nb).cells, strict=True), 1)
        if before.metadata != after.metadata
    ]
    where = "; ".join(extra) or "metadata of the notebook"
    return [f"metadata are not in normal form ({where}): run make notebooks"]


@rule
def small_file(nb: NotebookNode) -> list[str]:
    """The file stays small enough to load on a phone and to review."""
    size = len(to_text(nb).encode())
    if size < FILE_BYTES:
        return []
    return [f"{size:,} bytes, at most {FILE_BYTES:,}"]


def as_text(nb: NotebookNode) -> str:
    """Return the notebook as one text in which a line stands for each code cell."""
    parts = []
    for cell in nb.cells:
        folded = HIDDEN & set(cell.metadata.get("tags", []))
        code = "<code folded>" if folded else "<code open>"
        parts.append(cell.source if cell.cell_type == "markdown" else code)
    return "\n\n".join(parts)


def open_directives(text: str) -> list[str]:
    """Return the names of the directives that are still open at the end of a text."""
    stack: list[tuple[str, str]] = []
    for line in text.splitlines():
        if opening := re.match(r"([:`]{3,})\{([\w:-]+)\}", line):
            stack.append((opening[1], opening[2]))
        elif stack and line.rstrip() == stack[-1][0]:
            stack.pop()
    return [name for _, name in stack]


def stretch(text: str, start: int) -> str:
    """Return the text from a position to the next exercise or heading."""
    end = re.compile(r"^(#{1,6} |[:`]{3,}\{exercise(-start)?\})", re.MULTILINE).search(text, start)
    return text[start : end.start() if end else len(text)]


@rule
def exercises_solved(nb: NotebookNode) -> list[str]:
    """Every exercise has a label and a solution, and the solution is folded away.

    A solution is a dropdown titled Solution that follows the exercise, or a directive
    ``solution`` with the exercise's label; it lasts to the next exercise or heading.
    """
    found = []
    text = as_text(nb)
    exercise = re.compile(
        r"^[:`]{3,}\{exercise(?:-start)?\} *(.*)\n((?::[\w-]+:.*\n|\s*\n)*)", re.MULTILINE
    )
    for match in exercise.finditer(text):
        label = re.search(r"^:label: *(\S+)", match[2], re.MULTILINE)
        if not label:
            found.append(f"exercise {match[1]!r} has no :label:")
            continue
        following = match.end() + len(stretch(text, match.end()))
        directive = rf"^[:`]{{3,}}\{{solution(?:-start)?\}} *{re.escape(label[1])} *$"
        dropdown = r"^:{3,}\{dropdown\} *Solution"
        solution = re.compile(dropdown, re.MULTILINE).search(text, match.end(), following)
        solution = solution or re.compile(directive, re.MULTILINE).search(text)
        if not solution:
            found.append(f"exercise {label[1]} has no solution")
        elif not folded(text, solution.start()):
            found.append(
                f"the solution of exercise {label[1]} is open: put its text into a dropdown and "
                f"tag its code cells {' or '.join(sorted(HIDDEN))}"
            )
    return found


def folded(text: str, start: int) -> bool:
    """Return whether the solution that begins at a position is folded away."""
    solution = stretch(text, start)
    first = solution.partition("\n")[0]
    dropdown = (
        "{dropdown}" in first
        or re.match(r".*\n(?::[\w-]+:.*\n)*?:class:.*dropdown", solution)
        or "dropdown" in open_directives(text[:start])
    )
    if dropdown and "solution-start" in first:
        return True
    if "<code open>" in solution:
        return False
    return bool(dropdown) or "<code folded>" in solution


@rule
def theorems_verified(nb: NotebookNode) -> list[str]:
    """A notebook that states a theorem or a lemma stores the ledger of its checks."""
    stated = re.findall(r"^[:`]{3,}\{prf:(theorem|lemma)\}", markdown(nb), re.MULTILINE)
    stored = any(
        LEDGER in output.get("data", {}) for _, cell in code_cells(nb) for output in cell.outputs
    )
    if not stated or stored:
        return []
    return [f"it states a {stated[0]} but no output holds {LEDGER}: show the ledger at the end"]


@rule
def statements_carry_the_papers_numbers(nb: NotebookNode) -> list[str]:
    """Statements are unnumbered, with the paper's number in the title; references have a text."""
    found = []
    opening = r"^[:`]{3,}\{prf:(?!proof)(\w+)\}.*\n((?::\w+:.*\n)*)"
    for kind, options in re.findall(opening, markdown(nb), re.MULTILINE):
        if ":nonumber:" not in options:
            found.append(f"a {kind} without :nonumber:, so that the book would number it again")
    for target in re.findall(r"\{prf:ref\}`([^`<]*)`", markdown(nb)):
        found.append(f"{{prf:ref}}`{target}` has no text, and what it names has no number")
    return found


def problems(path: Path) -> list[str]:
    """Return all that breaks a rule in the notebook at a path."""
    nb = read(path)
    found = [f"{name}: {problem}" for name, check in RULES.items() for problem in check(nb)]
    if not found and path.read_text(encoding="utf-8") != to_text(nb):
        found.append("normal_form: the file is laid out differently: run make notebooks")
    return found


def main(arguments: Sequence[str]) -> int:
    """Check the notebooks named on the command line, by default all of the book."""
    failed = 0
    for path in map(Path, arguments) if arguments else find_notebooks():
        for problem in problems(path):
            failed += 1
            print(f"{shown(path)}: {problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
