"""What a notebook stores of a ledger: text, table and record; and reading records back."""

import json
import re

import nbformat
import pytest
import sympy as sp

from reluspec_lib.ledger import LAYERS, Ledger
from reluspec_lib.record import stored


@pytest.fixture
def ledger():
    return Ledger("theorem-0-0")


def full_ledger():
    ledger = Ledger("theorem-0-0")
    ledger.symbolic("constant", sp.Integer(1) + 1, 2)
    ledger.numeric("closed form", [1.0, 2.0], [1.0, 2.0 + 1e-6], tolerance=1e-5)
    ledger.simulation("mean", [1.99, 2.01] * 50, 2.0)
    ledger.rate("in the width", [1, 100], [[1.0, 0.101], [1.0, 0.099]] * 10)
    return ledger


# --- the record


def test_the_record_sums_up_the_checks():
    record = full_ledger().record()
    assert record["version"] == 2
    assert record["statement"] == "theorem-0-0"
    assert record["status"] == dict.fromkeys(LAYERS, "passed")
    assert record["worst_error"] == "5e-07"
    assert record["sensitivity"] == 0.002
    assert record["rate"] == record["checks"][3]["result"]
    assert re.match(r"exponent -0\.\d+ ± 0\.\d+ ", record["rate"])
    assert [check["layer"] for check in record["checks"]] == list("SNMR")


def test_an_empty_record_says_that_everything_is_missing(ledger):
    record = ledger.record()
    assert record["status"] == dict.fromkeys(LAYERS, "missing")
    assert record["worst_error"] is record["sensitivity"] is record["rate"] is None
    assert record["checks"] == []


def test_the_record_tells_the_worst_sensitivity(ledger):
    for name, spread in (("a", 0.01), ("b", 0.02), ("c", 0.005)):
        ledger.simulation(name, [2 - spread, 2 + spread] * 50, 2.0)
    assert ledger.record()["sensitivity"] == 0.004
    assert ledger.record()["status"] == {"S": "missing", "N": "missing", "M": "passed"}


def test_the_output_of_a_cell_is_serialisable_and_complete():
    ledger = full_ledger()
    bundle = json.loads(json.dumps(ledger._repr_mimebundle_(include=None, exclude=None)))
    assert set(bundle) == {stored.MIME_TYPE, "text/html", "text/plain"}
    assert bundle[stored.MIME_TYPE] == ledger.record()
    assert (bundle["text/plain"], bundle["text/html"]) == (str(ledger), stored.table(ledger))


def test_the_text_has_a_line_for_the_statement_and_one_for_each_check():
    lines = str(full_ledger()).splitlines()
    assert lines[0] == "theorem-0-0: symbolic passed, numeric passed, simulation passed"
    assert lines[1] == "  S passed: constant: the difference simplifies to 0"
    assert lines[2] == "  N passed: closed form: 2 values; rejects an error of 1e-05"
    assert len(lines) == 5


def test_the_table_has_a_row_for_each_check():
    table = stored.table(full_ledger())
    assert re.findall(r'<tr id="([\w-]+)">', table) == [
        stored.row_id("theorem-0-0", k) for k in range(1, 5)
    ]
    assert table.count("<tr>") == 1
    assert table.count("</td></tr><tr id=") == 3
    assert table.count('scope="col"') == 5
    assert "<caption>theorem-0-0: symbolic passed" in table
    assert re.findall(r"<abbr title=\"(\w+)\">(\w)</abbr>", table) == [
        ("symbolic", "S"),
        ("numeric", "N"),
        ("simulation", "M"),
        ("rate", "R"),
    ]


def test_the_table_is_this():
    ledger = Ledger("theorem-0-0")
    ledger.numeric("sum", [1.5], [1.0], 1)
    assert stored.table(ledger) == (
        '<table class="reluspec-ledger"><caption>theorem-0-0: symbolic missing, numeric passed, '
        'simulation missing</caption><thead><tr><th scope="col">Layer</th>'
        '<th scope="col">Check</th><th scope="col">Result</th><th scope="col">Error</th>'
        '<th scope="col">Sensitivity</th></tr></thead><tbody><tr id="check-theorem-0-0-1">'
        '<td><abbr title="numeric">N</abbr></td><td>sum</td><td>1 value</td><td>0.5</td>'
        "<td>1.5</td></tr></tbody></table>"
    )
    assert str(ledger) == (
        "theorem-0-0: symbolic missing, numeric passed, simulation missing\n"
        "  N passed: sum: 1 value; rejects an error of 1.5"
    )
    assert ledger.record() == {
        "version": 2,
        "statement": "theorem-0-0",
        "status": {"S": "missing", "N": "passed", "M": "missing"},
        "worst_error": "0.5",
        "sensitivity": None,
        "rate": None,
        "checks": [
            {
                "layer": "N",
                "name": "sum",
                "result": "1 value",
                "error": "0.5",
                "sensitivity": 1.5,
                "equations": [],
                "z": None,
                "draws": None,
                "certified": False,
            }
        ],
    }


def test_the_worst_error_is_the_largest_number_and_not_the_longest_text(ledger):
    ledger.numeric("a", 1 + 2e-7, 1.0, 1e-6)
    ledger.numeric("b", 1.0, 1.0, 1e-4)
    ledger.numeric("c", 1 + 9e-6, 1.0, 1e-3)
    assert ledger.record()["worst_error"] == "≤ 0.0001"
    ledger.numeric("d", 1.5, 1.0, 1)
    assert ledger.record()["worst_error"] == "0.5"


def test_the_table_tells_what_is_exact_and_what_is_certified():
    ledger = full_ledger()
    ledger.certified("enclosed", 1.0, (1.0, 1.0), 1e-3)
    ledger.inequality("order", (0, 1), (2, 3))
    rows = re.findall(r"<tr id.*?</tr>", stored.table(ledger))
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in rows]
    assert [row[4] for row in cells] == ["exact", "1e-05", "0.002", "", "0.001", ""]
    mark = '<span class="certified">certified</span>'
    assert [row[2] for row in cells][1] == "2 values"
    assert [row[2] for row in cells][4:] == [f"1 value, {mark}", f"1 inequality, {mark}"]
    assert repr(ledger.checks[5]) == "N certified: order: 1 inequality"
    assert "exact" not in repr(ledger.checks[0])


def test_the_table_escapes_what_authors_write():
    ledger = Ledger("<script>&")
    ledger.symbolic("a < b & c", sp.Integer(1), 1)
    table = stored.table(ledger)
    assert "<script>" not in table
    assert "&lt;script&gt;&amp;" in table
    assert "a &lt; b &amp; c" in table


# --- reading notebooks


def notebook(tmp_path, outputs):
    book = nbformat.v4.new_notebook()
    book.cells = [
        nbformat.v4.new_markdown_cell("text"),
        nbformat.v4.new_code_cell("x"),
        *(nbformat.v4.new_code_cell("ledger", outputs=[output]) for output in outputs),
    ]
    path = tmp_path / "chapter.ipynb"
    nbformat.write(book, path)
    return path


def test_records_are_read_from_a_stored_notebook_in_its_order(tmp_path):
    first, second = full_ledger(), Ledger("lemma-0-1")
    outputs = [
        nbformat.v4.new_output("stream", text="noise"),
        nbformat.v4.new_output("execute_result", data=first._repr_mimebundle_()),
        nbformat.v4.new_output("execute_result", data={"text/plain": "3"}),
        nbformat.v4.new_output("display_data", data=second._repr_mimebundle_()),
    ]
    path = notebook(tmp_path, outputs)
    assert stored.read(path) == stored.read(str(path)) == [first.record(), second.record()]


def test_a_notebook_without_ledgers_has_no_records(tmp_path):
    assert stored.read(notebook(tmp_path, [])) == []


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", "{}", "3", '{"pages": []}', '{"cells": 3}', '{"cells": [3]}']
)
def test_a_file_that_is_no_notebook_is_refused(tmp_path, text):
    path = tmp_path / "page.ipynb"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"^path must be a notebook, got .*page\.ipynb"):
        stored.read(path)
