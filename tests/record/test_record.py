"""The record fits together: equations and checks, statements and ledgers, z of all simulations."""

import re

import numpy as np
import pytest
import yaml
from nbformat import v4

from reluspec_lib.ledger import Ledger
from tools import record
from tools.notebooks import normalised, to_text
from tools.settings import BOOK, find_notebooks

SOURCES = set(
    re.findall(
        r"^@\w+\{([^,\s]+),", (BOOK / "reference" / "references.bib").read_text(), re.MULTILINE
    )
)


# --- the book


def test_equations_statements_and_ledgers_fit_together():
    """Given the stored book, each labelled equation is covered or listed, and all names exist."""
    found = list(record.rows())
    assert found
    lines = record.problems(
        record.load_statements(), record.load_equations(), found, record.labels(), SOURCES
    )
    assert lines == []


def test_labels_are_found_in_the_notebooks():
    assert len(record.labels()) > 80
    assert record.labels()["equation-5"] == "fisher-spectrum"


def test_equations_are_listed_in_alphabetical_order():
    listed = list(record.load_equations())
    assert listed == sorted(listed)


def test_every_citation_of_the_lists_exists():
    text = record.STATEMENTS.read_text("utf-8") + record.EQUATIONS.read_text("utf-8")
    keys = [
        key for group in re.findall(r"\{cite:[tp]\}`([^`]*)`", text) for key in group.split(",")
    ]
    assert {key.strip() for key in keys} <= SOURCES


# --- what does not fit is found


def ledger(*covers):
    result = Ledger("one")
    for k, labels in enumerate(covers):
        result.numeric(f"check {k}", 1.0, 1.0, covers=labels)
    return result


def chapter(tmp_path, *shown, text=""):
    outputs = [v4.new_output("display_data", data=each._repr_mimebundle_()) for each in shown]
    cells = [v4.new_markdown_cell(text), v4.new_code_cell("record", outputs=outputs)]
    path = tmp_path / "chapter.ipynb"
    path.write_text(to_text(normalised(v4.new_notebook(cells=cells))), encoding="utf-8")
    return path


ONE = {"id": "one", "kind": "own", "title": "t", "claim": "c", "verify": True}
GOOD = ONE | {"assumptions": ["a"], "uses": []}
TEXT = "$$\na = b\n$$ (first)\n\ntext $$ c $$ (second) and (brackets)\n"


def lines(tmp_path, statements=None, equations=None, *, covers="first"):
    path = chapter(tmp_path, ledger(covers), text=TEXT)
    found = list(record.rows([path]))
    listed = {"second": {"state": "definition", "note": "n"}} if equations is None else equations
    return record.problems(
        {"one": GOOD} if statements is None else statements,
        listed,
        found,
        record.labels([path]),
        {"key2020"},
    )


def test_a_book_that_fits_has_no_problem(tmp_path):
    assert lines(tmp_path) == []
    assert lines(tmp_path, equations={}, covers=["first", "second"]) == []
    cited = {"second": {"state": "cited", "source": "key2020", "note": "n"}}
    assert lines(tmp_path, equations=cited, covers=["first", "second"]) == []


@pytest.mark.parametrize(
    "statements, equations, covers, message",
    [
        (None, {}, "first", "chapter: equation second is covered by no check and not listed"),
        (None, None, "third", "chapter: check 'check 0' covers 'third', which is no equation"),
        (None, None, ["first", "second"], "equations.yml: second is covered by check-one-1"),
        (None, {"second": {}, "third": {}}, "first", "equations.yml: third is no equation"),
        (None, {"second": {"source": "x"}}, "first", "equations.yml: second: no reference 'x'"),
        ({"one": ONE}, None, "first", "statements.yml: one: no assumptions"),
        ({"one": ONE}, None, "first", "statements.yml: one: no uses"),
        ({"one": GOOD | {"assumptions": []}}, None, "first", "statements.yml: one: no assumptions"),
        ({"one": GOOD | {"uses": ["two"]}}, None, "first", "one: uses names 'two', which is no"),
        ({"one": GOOD | {"see": ["two"]}}, None, "first", "one: see names 'two', which is no"),
        ({"one": GOOD | {"uses": ["one"]}}, None, "first", "circle one -> one"),
        ({"one": GOOD, "two": GOOD}, None, "first", "two: to be verified, and no notebook has"),
        ({"one": {}}, None, "first", "one: a ledger, but not marked to be verified"),
        ({}, None, "first", "ledger of 'one', which is no statement"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, statements, equations, covers, message):
    found = lines(tmp_path, statements, equations, covers=covers)
    assert any(message in line for line in found), found


def test_pages_may_be_seen(tmp_path):
    assert lines(tmp_path, {"one": GOOD | {"see": ["book/theorems/model"]}}) == []


@pytest.mark.parametrize(
    "uses, circles",
    [
        ({"a": [], "b": ["a"], "c": ["a", "b"]}, []),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, [["a", "b", "c", "a"]]),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, [["b", "c", "b"]]),
        ({"a": ["missing"]}, []),
    ],
)
def test_circles_are_found(uses, circles):
    assert record.circles({name: {"uses": others} for name, others in uses.items()}) == circles


def test_a_label_used_twice_is_refused(tmp_path):
    path = chapter(tmp_path, text=TEXT + "$$ d $$ (first)")
    with pytest.raises(ValueError, match="equation 'first' stands in chapter and in chapter"):
        record.labels([path])


def test_the_strongest_check_of_an_equation_comes_first(tmp_path):
    mixed = ledger("first")
    mixed.inequality("order", (0, 1), (2, 3), covers="first")
    rows = record.covered(list(record.rows([chapter(tmp_path, mixed)])))["first"]
    assert [row.kind for row in rows] == ["C", "N"]
    assert [row.anchor for row in rows] == ["check-one-2", "check-one-1"]


def test_a_ledger_of_another_version_is_refused(tmp_path):
    path = chapter(tmp_path, ledger("first"))
    path.write_text(path.read_text("utf-8").replace('"version": 2', '"version": 1'), "utf-8")
    with pytest.raises(ValueError, match=r"^chapter: a ledger of version 1, not 2: run m"):
        list(record.rows([path]))


# --- the files


@pytest.mark.parametrize(
    "change, message",
    [
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"kind": "theory"}, "kind 'theory', allowed are"),
        ({"kind": None}, "no kind"),
        ({"relation": "improves"}, "relation 'improves', allowed are"),
        ({"state": "open"}, "to be verified, so that its ledger"),
        ({"verify": False, "state": "done"}, "state 'done', allowed are"),
        ({"claim": ""}, "to be verified, but without claim"),
        ({"uses": "one"}, "uses must be a list of strings"),
        ({"assumptions": [3]}, "assumptions must be a list of strings"),
    ],
)
def test_a_statement_that_is_badly_formed_is_refused(tmp_path, change, message):
    path = tmp_path / "statements.yml"
    path.write_text(yaml.safe_dump([GOOD]))
    assert record.load_statements(path) == {"one": GOOD}
    path.write_text(yaml.safe_dump([GOOD | change]))
    with pytest.raises(ValueError, match=message):
        record.load_statements(path)
    path.write_text(yaml.safe_dump([GOOD, GOOD]))
    with pytest.raises(ValueError, match="id used twice"):
        record.load_statements(path)


@pytest.mark.parametrize(
    "item, message",
    [
        ({"state": "proved", "note": "n"}, "state 'proved', allowed are"),
        ({"state": "cited", "note": "n"}, "cited, but without source"),
        ({"state": "definition"}, "no note"),
        ({"state": "definition", "note": "n", "colour": "red"}, "unknown key 'colour'"),
    ],
)
def test_an_equation_that_is_badly_listed_is_refused(tmp_path, item, message):
    path = tmp_path / "equations.yml"
    path.write_text("# nothing\n")
    assert record.load_equations(path) == {}
    path.write_text(yaml.safe_dump({"one": item}))
    with pytest.raises(ValueError, match=message):
        record.load_equations(path)


# --- all simulated checks together


def test_distances_of_students_law_become_normal():
    draws = 10
    t = np.random.default_rng(1).standard_t(draws - 1, 4000)
    pooled = record.pool([(value, draws) for value in t])
    assert pooled.rms == pytest.approx(1, abs=4 / np.sqrt(2 * 4000))
    assert (pooled.z**2).mean() ** 0.5 == pytest.approx(pooled.rms)
    assert 1e-3 < pooled.p <= 1
    # 97.5 % points of Student's law with 9 degrees of freedom, and of the normal law.
    assert record.pool([(2.2621572, 10), (-2.2621572, 10)]).z == pytest.approx(
        [1.959964, -1.959964]
    )


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_distances_that_are_too_small_or_too_large_are_unlikely(factor):
    z = factor * np.random.default_rng(2).standard_normal(200)
    assert record.pool([(value, 10**6) for value in z]).p < 1e-3


def test_nothing_cannot_be_pooled():
    with pytest.raises(ValueError, match="at least one simulated check"):
        record.pool([])


def test_the_stored_checks_have_z_and_draws():
    """Given the stored book, every simulated check takes part, and no other one."""
    found = list(record.rows(find_notebooks()))
    kinds = [row.kind for row in found]
    assert len(record.simulated(found)) == kinds.count("M") > 150
