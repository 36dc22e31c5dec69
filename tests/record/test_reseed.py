"""Fresh seeds: what is replaced, what is reported, and that nothing is stored."""

import ast
import json

import numpy as np
import pytest
from nbformat import v4

from tools import reseed
from tools.notebooks import normalised, to_text


@pytest.mark.parametrize(
    "source, replaced",
    [
        ("np.random.default_rng(3)", True),
        ("default_rng([719, 1])", True),
        ("np.random.default_rng(seed)", True),
        ("np.random.SeedSequence(3)", True),
        ("sample_weights(4, 10, rng=3)", True),
        ("np.random.default_rng(stored['seed'])", False),
        ("sample_weights(4, 10, rng=rng)", False),
        ("f(3)", False),
        ("f(exact=True, rng=True)", False),
    ],
)
def test_seeds_are_replaced_and_stored_ones_are_not(source, replaced):
    assert ("_fresh_seed" in ast.unparse(reseed.reseeded(source))) == replaced


def test_only_a_block_that_catches_failed_checks_is_expected_to_fail():
    for caught, marked in (("ledger.CheckFailed", True), ("ValueError", False)):
        source = f"try:\n    check()\nexcept {caught} as refusal:\n    print(refusal)"
        assert ("_expecting_failure" in ast.unparse(reseed.reseeded(source))) == marked


def test_a_program_for_another_process_gets_the_seeds_of_the_notebook(tmp_path, capsys):
    program = "import numpy as np\nprint(np.random.default_rng(3).random())"
    here = "import numpy as np\nfound = np.random.default_rng(3).random()"
    run = "import io, contextlib\nwith contextlib.redirect_stdout(io.StringIO()) as out:\n"
    same = f"{here}\n{run}    exec({program!r})\nassert float(out.getvalue()) == found"
    assert reseed.run_notebook(chapter(tmp_path, same), 5) == []
    other = same.replace("rng(3).random())'", "rng(4).random())'")
    assert other != same
    assert "AssertionError" in reseed.run_notebook(chapter(tmp_path, other), 5)[0]["why"]
    assert "_fresh" not in ast.unparse(
        reseed.reseeded("x = 'default_rng(seed)'; f'default_rng(3)'")
    )
    capsys.readouterr()


def chapter(tmp_path, *sources):
    nb = v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources])
    path = tmp_path / "chapter.ipynb"
    path.write_text(to_text(normalised(nb)), encoding="utf-8")
    return path


SETUP = """import numpy as np
from reluspec_lib.ledger import CheckFailed, Ledger
record = Ledger("theorem-0-0", 10)"""
DRAW = 'print(record.simulation("mean", np.random.default_rng(1).normal(1, 1, 50), {}))'
CONTROL = f"try:\n    {DRAW.format(9)}\nexcept CheckFailed as refusal:\n    print(refusal)"


def test_checks_are_reported_failures_collected_and_controls_left_alone(tmp_path, capsys):
    wrong = 'record.numeric("sum", 1.0, 2.0)'
    path = chapter(
        tmp_path, SETUP, DRAW.format(1), DRAW.format(9), CONTROL, wrong, "1 / 0", "x = 1"
    )
    before = path.read_bytes()
    good, failed, numeric, broken = reseed.run_notebook(path, 5)
    assert (good["layer"], good["why"], good["draws"]) == ("M", "", 50)
    assert abs(good["z"]) < 4 < abs(failed["z"])
    assert "allowed 4 standard errors" in failed["why"]
    assert (numeric["layer"], numeric["name"]) == ("N", "sum")
    assert broken["name"] == "cell 6"
    assert "ZeroDivisionError" in broken["why"]
    assert path.read_bytes() == before
    capsys.readouterr()


def test_the_seed_depends_on_the_number_and_on_the_old_seed_alone(tmp_path, capsys):
    two = DRAW.format(1).replace("default_rng(1)", "default_rng([1, 2])")
    path = chapter(tmp_path, SETUP, DRAW.format(1), DRAW.format(1), two)

    def values(number):
        return [check["z"] for check in reseed.run_notebook(path, number)]

    first = values(5)
    assert first[0] == first[1] != first[2]
    assert values(5) == first
    assert values(6)[0] != first[0]
    capsys.readouterr()


def test_a_run_reports_and_counts_its_failures(tmp_path, capsys):
    path = chapter(tmp_path, SETUP, DRAW.format(1), DRAW.format(9))
    assert reseed.main(["--number", "5", "--jobs", "1", str(path)]) == 1
    text = capsys.readouterr().out
    assert "2 simulated checks with reseed number 5" in text
    assert text.count("FAILED") == 1
    assert "1 failed" in text


def test_a_notebook_whose_process_dies_is_a_failure(tmp_path):
    path = chapter(tmp_path, "import os\nos._exit(3)")
    (only,) = reseed.in_process(path, 1)
    assert (only["name"], bool(only["why"])) == ("notebook", True)


def test_the_worker_writes_one_line_of_json(tmp_path, capsys):
    path = chapter(tmp_path, SETUP, DRAW.format(1))
    assert reseed.main(["--number", "5", "--one", str(path)]) == 0
    (only,) = json.loads(capsys.readouterr().out)
    assert np.isfinite(only["z"])
