"""Runs of checks are folded, whole and in their order; everything else that a cell shows stays."""

import sys

import pytest
from docutils import nodes

from tools.settings import BOOK

sys.path.append(str(BOOK / "_extensions"))

import passed_checks
from passed_checks import FoldChecks, folded, summary

from reluspec_lib.ledger import Ledger

S, N = "S passed: a: the difference simplifies to 0", "N passed: b: 1 value; rejects 1e-12"
C, M = "N certified: c: 3 values", "M passed: d: 1.0 ± 0.1 against 1"


def block(*lines, kind="stream"):
    text = "\n".join(lines) + "\n"
    return nodes.literal_block(text, text, classes=["output", kind], language="myst-ansi")


def shape(elements):
    """Return the lines of each element, in a list where they are folded."""
    return [
        [line for part in element for line in part.astext().split("\n")]
        if isinstance(element, passed_checks.passed_checks)
        else element.astext()
        for element in elements
    ]


@pytest.mark.parametrize(
    "blocks, expected",
    [
        ([block(S)], [S]),
        ([block(S, N)], [[S, N]]),
        ([block(S, N), block(C, kind="text_plain")], [[S, N, C]]),
        ([block("d = 3: 0.5", S, N, "done")], ["d = 3: 0.5", [S, N], "done"]),
        ([block(S, "0.5", N)], [S, "0.5", N]),
        ([block("one", "", "two")], ["one\n\ntwo"]),
        ([block("refused: S passed: no"), block("1")], ["refused: S passed: no", "1"]),
    ],
)
def test_runs_are_folded(blocks, expected):
    assert shape(folded(blocks)) == expected


def test_the_line_counts_each_kind():
    assert summary([S, N, C, M, M]) == (
        "5 checks passed: 1 certified, 1 symbolic, 1 numeric, 2 simulated"
    )


def test_what_a_ledger_prints_is_recognised():
    record = Ledger("x")
    printed = [
        str(record.numeric("a", [1.0], [1.0])),
        str(record.certified("b", [1.0], [[1.0, 1.0]])),
        str(record.simulation("c", [0.999, 1.001] * 50, 1.0)),
        str(record.rate("d", [1, 2], [[1.0, 0.499], [1.0, 0.501]] * 10, -1.0)),
    ]
    assert summary(printed) == "4 checks passed: 1 certified, 1 numeric, 1 simulated, 1 rate"


def test_other_outputs_keep_their_place():
    cell = nodes.container("", nb_element="cell_code_output")
    image = nodes.image(uri="x.png")
    cell.extend([block(S, N), image, block(M, C)])
    document = nodes.document(None, None)
    document.append(cell)
    transform = FoldChecks.__new__(FoldChecks)
    transform.document = document
    transform.run()
    assert [type(child).__name__ for child in cell] == ["passed_checks", "image", "passed_checks"]
    assert all(child.parent is cell for child in cell)
    assert cell[0][0]["classes"] == ["output", "stream", "check-lines"]


def test_only_the_lines_of_checks_may_be_broken():
    """Given a table between two checks, its block keeps its columns."""
    parts = folded([block(S, "d = 3:  0.5", N)])
    assert ["check-lines" in part["classes"] for part in parts] == [True, False, True]
