"""Every notebook of the book keeps the rules, and every rule catches a notebook that breaks it."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat import v4

from tools import hygiene
from tools.notebooks import normalised, to_text
from tools.settings import BOOK, ROOT, find_notebooks

NOTEBOOKS = find_notebooks()

PNG = base64.b64encode(b"not looked at here").decode()
PROSE = "Words that explain what the next cell does and what to look for in its result. " * 20
FIGURE = {
    "mystnb": {
        "image": {"alt": "A line that rises from left to right"},
        "figure": {"caption": "A line.", "name": "fig-line"},
    }
}
THEOREM = ":::{prf:theorem} 3.1 (the norm)\n:label: theorem-3-1\n:nonumber:\nA limit.\n:::"
EXERCISE = ":::{exercise}\n:label: ex-one\nShow it.\n:::"
SOLUTION = ":::{solution} ex-one\nIt is shown so.\n:::"


def test_the_book_has_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.relative_to(BOOK)))
def test_notebook_keeps_the_rules(path):
    assert hygiene.problems(path) == []


def code(source, *outputs, **metadata):
    return v4.new_code_cell(source, outputs=list(outputs), metadata=metadata)


def shown(data, kind="display_data"):
    return v4.new_output(kind, data=data)


def notebook(*cells):
    """Return a notebook as make notebooks would write it, Markdown given as plain strings."""
    cells = [v4.new_markdown_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    for count, cell in enumerate((c for c in cells if c.cell_type == "code"), 1):
        cell.execution_count = count
    return normalised(v4.new_notebook(cells=cells))


def good():
    """Return a notebook with one cell of each kind that the rules look at."""
    return notebook(
        "# A chapter\n\n" + PROSE,
        code(
            "import matplotlib.pyplot as plt\nimport numpy as np\n\nplt.style.use('book.mplstyle')"
        ),
        code("rng = np.random.default_rng(1)\nx = rng.standard_normal(3)"),
        code("print(x.round(3))", v4.new_output("stream", name="stdout", text="[1 2 3]\n")),
        code("x.sum().round(3)", shown({"text/plain": "6.0"}, "execute_result")),
        code("plt.plot(x)\nplt.show()", shown({"image/png": PNG}), **FIGURE),
        THEOREM,
        code("record", shown({hygiene.LEDGER: {"statement": "theorem-3-1"}, "text/plain": "ok"})),
        EXERCISE,
        SOLUTION,
        code("x.max().round(3)", shown({"text/plain": "3.0"}), tags=["hide-cell"]),
        "## Summary",
        code("x.min().round(3)", shown({"text/plain": "1.0"})),
    )


def test_a_good_notebook_passes(tmp_path):
    path = tmp_path / "good.ipynb"
    path.write_text(to_text(good()), encoding="utf-8")
    assert hygiene.problems(path) == []


def test_a_file_laid_out_by_another_editor_is_refused(tmp_path):
    path = tmp_path / "other.ipynb"
    path.write_text(json.dumps(good(), indent=2), encoding="utf-8")
    assert "laid out differently" in hygiene.problems(path)[0]


def with_source(source, *outputs, **metadata):
    def change(nb):
        nb.cells.append(code(source, *outputs, **metadata))

    return change


def clear_outputs(kind):
    def change(nb):
        for cell in nb.cells:
            if cell.cell_type == "code" and kind in cell.source:
                cell.outputs = []

    return change


def set_cell(index, key, value):
    def change(nb):
        nb.cells[index][key] = value

    return change


def set_markdown(old, new):
    def change(nb):
        for cell in nb.cells:
            if cell.cell_type == "markdown":
                cell.source = cell.source.replace(old, new)

    return change


def set_figure(**changes):
    def change(nb):
        about = nb.cells[5].metadata.mystnb
        for key, value in changes.items():
            (about.image if key == "alt" else about.figure)[key] = value

    return change


ERROR = v4.new_output("error", ename="E", evalue="", traceback=[])
STDERR = v4.new_output("stream", name="stderr", text="a warning\n")
IN_HOME = "/".join(["", "home", "someone", "x.npy"])
ON_WINDOWS = "C:" + "\\Users" + "\\someone"

BROKEN = [
    ("executed_in_order", set_cell(1, "execution_count", None), "not 1..8"),
    ("executed_in_order", set_cell(2, "execution_count", 9), "not 1..8"),
    ("outputs_stored", clear_outputs("print"), "no output is stored"),
    ("outputs_stored", clear_outputs("plt.show"), "no output is stored"),
    ("outputs_stored", clear_outputs("record"), "no output is stored"),
    ("outputs_stored", with_source("for i in range(3):\n    print(i)"), "no output is stored"),
    ("outputs_stored", with_source("x[0], x[1]"), "no output is stored"),
    ("statements_carry_the_papers_numbers", set_markdown(":nonumber:\n", ""), "without :nonumber:"),
    (
        "statements_carry_the_papers_numbers",
        set_markdown("A limit.", "See {prf:ref}`theorem-3-2`."),
        "has no text",
    ),
    ("no_failures_stored", with_source("1 / 0", ERROR), "an error"),
    ("no_failures_stored", with_source("warn()", STDERR), "stderr"),
    ("plain_python", with_source("%timeit x.sum()"), "not plain Python"),
    ("plain_python", with_source("!ls"), "not plain Python"),
    ("plain_python", with_source("get_ipython().magic('x')"), "interactive shell"),
    ("plain_python", with_source("plt.plot(x);"), "a semicolon"),
    ("seeded", with_source("rng = np.random.default_rng()"), "without a seed"),
    ("seeded", with_source("y = norm(0, 1).rvs(3)"), "random_state"),
    ("figures_described", set_figure(alt="A line"), "mystnb.image.alt"),
    ("figures_described", set_figure(caption=""), "figure.caption is missing"),
    ("figures_described", set_figure(name=""), "figure.name is missing"),
    ("figures_described", set_figure(caption=r"Width $m$ and \sigma"), "shows TeX as text"),
    ("figures_described", set_figure(caption=r"Law of $\\sigma$"), "shows TeX as text"),
    ("figures_described", set_figure(caption="Law of $m"), "shows TeX as text"),
    ("figures_described", clear_outputs("plt.show"), "no image is stored"),
    ("figures_described", with_source("p()", shown({"image/jpeg": PNG}), **FIGURE), "one PNG"),
    (
        "figures_described",
        with_source("p()", *[shown({"image/png": PNG}) for _ in range(2)], **FIGURE),
        "one PNG",
    ),
    ("no_machine_paths", with_source(f"y = np.load('{IN_HOME}')"), "someone"),
    ("no_machine_paths", with_source(f"y = r'{ON_WINDOWS}'"), "Users"),
    ("no_machine_paths", with_source("f()", shown({"text/html": f"<a>{IN_HOME}</a>"})), "someone"),
    ("no_exemptions", with_source("# NBVAL_SKIP\ny = 1"), "NBVAL_SKIP"),
    ("no_exemptions", with_source("y = 1", tags=["raises-exception"]), "raises-exception"),
    ("no_exemptions", with_source("y = 1", tags=["nbval-ignore-output"]), "nbval-ignore-output"),
    ("short_cells", with_source("y = 1\n" * 26), "26 lines"),
    ("more_prose_than_code", with_source("y = 1\n" * 200), "words for"),
    ("normal_form", set_cell(0, "metadata", {"jp-collapsed": True}), "jp-collapsed"),
    ("normal_form", lambda nb: nb.metadata.update(language_info={"version": "3"}), "normal form"),
    ("normal_form", lambda nb: nb.metadata.language_info.pop("file_extension"), "normal form"),
    ("small_file", with_source("y = '" + "0" * 2_000_000 + "'"), "bytes"),
    ("exercises_solved", set_markdown(":label: ex-one\n", ""), "has no :label:"),
    ("exercises_solved", set_markdown(SOLUTION, "So."), "no solution"),
    ("exercises_solved", set_cell(10, "metadata", {}), "is open"),
    ("exercises_solved", lambda nb: nb.cells.pop(10), "is open"),
    ("theorems_verified", clear_outputs("record"), "states a theorem"),
]


@pytest.mark.parametrize("name, change, message", BROKEN)
def test_a_rule_catches_what_breaks_it(name, change, message):
    nb = good()
    assert hygiene.RULES[name](nb) == []
    change(nb)
    found = hygiene.RULES[name](nb)
    assert found
    assert any(message in problem for problem in found), found


def test_every_rule_has_a_notebook_that_breaks_it():
    assert {name for name, _, _ in BROKEN} == set(hygiene.RULES)


# What ruff's configuration bans in notebooks, and the rule that does.
BANNED = [
    ("y = _ + 1", "F821"),
    ("y = Out[1]", "F821"),
    ("plt.plot(x);\nplt.show()", "E703"),
    ("np.random.seed(1)", "NPY002"),
    ("y = np.random.rand(3)", "NPY002"),
    ("from numpy import random as r\n\ny = r.normal()", "NPY002"),
    ("from numpy.random import RandomState\n\nRandomState", "TID251"),
    ("import random\n\nrandom.seed(1)", "TID251"),
    ("from random import gauss\n\ngauss", "TID251"),
    ("plt.rcParams['font.size'] = 20", "TID251"),
    ("plt.rcParams.update({})", "TID251"),
    ("plt.style.context('dark')", "TID251"),
    ("import matplotlib\n\nmatplotlib.use('Agg')", "TID251"),
    ("from matplotlib import rc_context\n\nrc_context", "TID251"),
    ("import seaborn\n\nseaborn", "TID251"),
]


def test_ruff_catches_what_its_configuration_bans(tmp_path):
    """Given a notebook for each of them, ruff finds in it what is banned and nothing else."""
    setup = "import matplotlib.pyplot as plt\nimport numpy as np\n\nx = np.zeros(3)\nplt.plot(x)"
    for k, source in enumerate([source for source, _ in BANNED] + ["x.sum()"]):
        nb = notebook("# A chapter", code(setup), code(source))
        (tmp_path / f"{k}.ipynb").write_text(to_text(nb), encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=json"]
    command += ["--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    found = {}
    for problem in json.loads(result.stdout):
        found.setdefault(Path(problem["filename"]).stem, set()).add(problem["code"])
    assert found == {str(k): {rule} for k, (_, rule) in enumerate(BANNED)}


@pytest.mark.parametrize(
    "solution",
    [
        ":::{solution} ex-one\n:class: dropdown\nSo.\n:::",
        "::::{dropdown} Solution\n:::{solution} ex-one\nSo.\n:::\n::::",
        "::::{dropdown} Solution\nSo.\n::::",
        ":::{solution-start} ex-one\n:class: dropdown\n:::",
    ],
)
def test_a_solution_in_a_dropdown_is_hidden(solution):
    nb = notebook(EXERCISE, solution)
    assert hygiene.RULES["exercises_solved"](nb) == []


@pytest.mark.parametrize(
    "solution",
    [
        ":::{solution} ex-one\nSo.\n:::",
        "::::{dropdown} A hint\nThink.\n::::\n\n:::{solution} ex-one\nSo.\n:::",
    ],
)
def test_a_solution_outside_a_dropdown_is_open(solution):
    nb = notebook(EXERCISE, solution)
    assert "is open" in hygiene.RULES["exercises_solved"](nb)[0]


@pytest.mark.parametrize(
    "source",
    [
        "ax.plot(x)\nax.set_title('a; b')",  # a call may return None; a string is not code
        "for _ in range(3):\n    x.sort()",
        "def f():\n    print(1)",
        "import matplotlib.pyplot as plt\nplt.style.use('book.mplstyle')",
        "rng = np.random.default_rng(np.random.SeedSequence(1))",
        "y = norm.rvs(3, random_state=rng)",
        "y = a[0] / work[1]",
    ],
)
def test_rules_let_ordinary_code_pass(source):
    nb = good()
    nb.cells.append(code(source))
    nb.cells[-1].execution_count = 9
    assert [problem for check in hygiene.RULES.values() for problem in check(nb)] == []


def test_the_rules_run_from_the_command_line(tmp_path, capsys):
    nb = good()
    nb.cells[1].execution_count = None
    path = Path(tmp_path / "x.ipynb")
    path.write_text(to_text(nb), encoding="utf-8")
    assert hygiene.main([str(path)]) == 1
    assert "executed_in_order" in capsys.readouterr().out
