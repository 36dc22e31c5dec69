"""The numbers among the short answers on the landing page are those of the library."""

import json
import math
import re

import numpy as np
import pytest

from helpers import rng
from reluspec_lib import features, groups, guarantees, sample_weights
from tools import archive, record
from tools.settings import BOOK

D = 10


@pytest.fixture(scope="module")
def answers():
    cells = json.loads((BOOK / "index.ipynb").read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return text.partition("## Short answers")[2].partition("\n## ")[0]


def test_factors(answers):
    norm, linear, quadratic = (
        group.eigenvalue(D) for group in (groups.NORM, groups.COORDINATE, groups.PRODUCT)
    )
    assert f"at {norm / linear:.1f} times the rate of the coordinates" in answers
    assert f"$(d+1)^2 = {norm / quadratic:.0f}$ times that of the quadratic" in answers
    assert "a third of the trace for itself, while the ten coordinates share one half" in answers
    trace = D / 2
    assert (round(norm / trace, 2), D * linear / trace) == (0.33, 0.5)


def test_why_the_norm_comes_first(answers):
    assert "their mean over ever more units tends to a multiple of $|x|$" in answers
    m = 200_000
    x = rng().normal(size=(4, D)) * [[0.1], [1], [1], [20]]
    outputs = features(x, sample_weights(D, m, rng(1)) * math.sqrt(m))
    assert outputs.min() >= 0
    over_norm = outputs / np.linalg.norm(x, axis=1)[:, None]
    error = over_norm.std(axis=1) / math.sqrt(m)
    # The same multiple for inputs of any length and direction: the mean of max(Z, 0).
    assert (np.abs(over_norm.mean(axis=1) - 1 / math.sqrt(2 * math.pi)) < 4 * error).all()
    assert error.max() < 0.002


def test_threshold_of_correlated_inputs(answers):
    assert (
        f"$1 - \\frac2\\pi$ of the largest one, {1 - 2 / math.pi:.0%}".replace("%", " %") in answers
    )


def test_share_left_out(answers):
    assert f"of the trace, {0.5 - 3 / (2 * math.pi):.1%}".replace("%", " %") in answers


def test_widths(answers):
    widths = [guarantees.width_for(group, D, 0.01) for group in groups.ALL]
    norm, linear, square, product = (float(f"{width:.2g}") for width in widths)
    assert f"{norm:,.0f} units are enough for the norm, {linear:,.0f} for a coordinate" in answers
    assert square == product
    assert f"{square / 1e6:.1f} million for a square or a product" in answers


def test_commands_are_those_of_the_archive(answers):
    commands = re.findall(r"`((?:pip|jupyter) [^`]+)`", answers)
    assert [command.split()[0] for command in commands] == ["pip", "pip", "jupyter"]
    for command in commands:
        assert command in archive.README


def test_entries_of_table_1(answers):
    cells = json.loads((BOOK / "width" / "table-1.ipynb").read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    printed = "".join(text for output in outputs for text in output.get("text", []))
    assert "outside 95 %: 2 of 32," in printed
    assert "all but two of the 32 lie in the central 95 % of theirs" in answers


def test_what_was_not_verified(answers):
    left = {key for key, item in record.load_statements().items() if item.get("state")}
    named = {
        "limitation-percentages": "two samples of inputs",
        "second-proof": "proof of the quartic equation",
        "second-bias-form": "form of the equation with a bias",
    }
    assert left == set(named)
    assert all(words in answers for words in named.values())
