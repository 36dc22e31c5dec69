"""What passed counts only while everything that it depends on is the same to the byte."""

import json
import sys

import pytest

from tools import portability, verified, verify

ONE, TWO = "book/a/one.ipynb", "book/a/two.ipynb"
CODE = {"cell_type": "code", "source": "1 + 1", "outputs": ["2"]}
FILES = {
    ONE: json.dumps({"cells": [CODE, {"cell_type": "markdown"}, CODE]}),
    TWO: json.dumps({"cells": [CODE]}),
    "book/a/points.csv": "1,2",
    "reluspec_lib/network.py": "x = 1",
    "requirements.txt": "numpy==2.0",
    "tools/build.py": "y = 1",
    "tests/test_x.py": "def test_x(): pass",
    "README.md": "words",
    "_build/html/index.html": "<p>",
}
STAGES = ("library", "notebooks", "arithmetic", "book", "pages")


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small repository that lies elsewhere, of which everything passed."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for module in (portability, verified, verify):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(verified, "HTML", tmp_path / "_build/html")
    monkeypatch.setattr(verified, "ENTRIES", tmp_path / "_build/verified")
    monkeypatch.setattr(verified, "machine", lambda: "this one")
    before = verified.take()
    for stage in STAGES:
        verified.keep(stage, dict.fromkeys(units(stage), 1.0), before)
    return tmp_path


def units(stage):
    return [ONE, TWO] if stage in ("notebooks", "arithmetic") else [""]


def known():
    """Return what would not run again: stages, and of stages with notebooks these."""
    now = verified.take()
    names = [(stage, name) for stage in STAGES for name in units(stage)]
    return {f"{s} {n}".strip() for s, n in names if verified.unchanged(s, n, now)}


EVERYTHING = {f"{stage} {name}".strip() for stage in STAGES for name in units(stage)}
ONES = {f"notebooks {ONE}", f"arithmetic {ONE}"}
TWOS = {f"notebooks {TWO}", f"arithmetic {TWO}"}
WHOLE = {"library", "book", "pages"}


def change_a_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_what_is_the_same_is_known(tree):
    assert known() == EVERYTHING
    (tree / ONE).touch()
    (tree / "reluspec_lib/__pycache__").mkdir()
    (tree / "reluspec_lib/__pycache__/network.pyc").write_text("compiled")
    assert known() == EVERYTHING


@pytest.mark.parametrize(
    "name, still",
    [
        (ONE, TWOS),
        (TWO, ONES),
        ("book/a/points.csv", set()),
        ("reluspec_lib/network.py", set()),
        ("requirements.txt", set()),
        ("tools/build.py", set()),
        ("tests/test_x.py", ONES | TWOS),
        ("README.md", ONES | TWOS),
        ("_build/html/index.html", EVERYTHING - {"book", "pages"}),
    ],
)
def test_one_byte_of_any_file_makes_all_run_that_depends_on_it(tree, name, still):
    text = (tree / name).read_bytes()
    change_a_byte(tree / name)
    assert known() == still
    (tree / name).write_bytes(text)
    assert known() == EVERYTHING
    (tree / name).unlink()
    assert known() == still


def test_a_changed_output_makes_its_notebook_run(tree):
    (tree / ONE).write_text(FILES[ONE].replace('["2"]', '["3"]', 1))
    assert known() == TWOS


def test_a_new_file_makes_everything_run(tree):
    (tree / "reluspec_lib/new.py").write_text("")
    assert known() == set()


def test_a_file_that_may_now_be_run_has_changed(tree):
    (tree / "tools/build.py").chmod(0o755)
    assert known() == set()


def test_another_machine_knows_nothing(tree, monkeypatch):
    monkeypatch.setattr(verified, "machine", lambda: "another one")
    assert known() == set()


@pytest.mark.parametrize("variable", ["LANG", "LC_ALL", "TZ", "CHROMIUM", "BOOK_URL"])
def test_the_machine_is_another_one_with_another_locale_or_browser_or_address(
    tmp_path, monkeypatch, variable
):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(verified, "ROOT", tmp_path)
    before = verified.machine()
    assert verified.machine() == before
    monkeypatch.setenv(variable, "other")
    assert verified.machine() != before


def test_the_machine_is_another_one_with_another_package(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(verified, "ROOT", tmp_path)
    module = tmp_path / "lib/python3/site-packages/numpy/core.py"
    module.parent.mkdir(parents=True)
    module.write_text("one = 1")
    before = verified.machine()
    (tmp_path / "ipython/history.sqlite").parent.mkdir()
    (tmp_path / "ipython/history.sqlite").write_text("what a run leaves")
    assert verified.machine() == before
    module.write_text("one = 12")
    assert verified.machine() != before


def test_any_changed_byte_of_an_entry_makes_it_count_as_none(tree):
    path = tree / "_build/verified/library/whole.txt"
    text = path.read_bytes()
    for k in range(len(text)):
        path.write_bytes(text[:k] + bytes([text[k] ^ 1]) + text[k + 1 :])
        assert verified.entry_of("library", "") == {}, k
    for other in (b"", text[:-1], text + b"\n", b"[]\n", b"\xff"):
        path.write_bytes(other)
        assert known() == EVERYTHING - {"library"}
    path.write_bytes((tree / "_build/verified/pages/whole.txt").read_bytes())
    assert known() == EVERYTHING - {"library"}  # the entry of another stage


def test_what_changed_while_it_ran_is_not_kept(tree):
    (tree / "reluspec_lib/network.py").write_text("x = 2")
    before = verified.take()
    (tree / "reluspec_lib/network.py").write_text("x = 3")
    for stage in STAGES:
        verified.keep(stage, dict.fromkeys(units(stage), 1.0), before)
    assert known() == set()


def test_the_stage_that_makes_the_pages_is_known_with_those_that_it_made(tree):
    before = verified.take()
    (tree / "_build/html/index.html").write_text("<p>made anew")
    verified.keep("book", {"": 1.0}, before)
    verified.keep("pages", {"": 1.0}, before)
    assert known() == EVERYTHING - {"pages"}


def test_the_longest_notebooks_come_first_and_new_ones_before_them(tree):
    before = verified.take()
    verified.keep("notebooks", {ONE: 2.5, TWO: 30.0}, before)
    names = [ONE, TWO, "book/a/new.ipynb"]
    assert verified.longest_first("notebooks", names) == ["book/a/new.ipynb", TWO, ONE]


# What nbval reports


USED = "<properties><property name='notebook' value=\"['x', {'seconds': 2.5}]\"/></properties>"


@pytest.mark.parametrize(
    "cells, expected",
    [
        (["", USED], {ONE: 2.5}),
        ([USED], {}),
        (["", ""], {}),
        (["<failure/>", USED], {}),
        (["<skipped/>", USED], {}),
        (["<error/>", USED], {}),
        (["", "", USED], {}),
    ],
)
def test_a_notebook_passed_where_every_cell_ran_and_passed(tree, cells, expected):
    cases = [f"<testcase classname='book.a.one.ipynb' name='x'>{cell}</testcase>" for cell in cells]
    junit = tree / "_build/junit.xml"
    junit.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    assert portability.passed(junit, [ONE, TWO]) == expected


# The runner


def traced(tree, code):
    """Return a stage that ends with this code and leaves a trace of each run, and their number."""
    trace = tree / "_build/trace"
    program = f"print('ran', file=open({str(trace)!r}, 'a'))\nraise SystemExit({code})"
    stage = verify.Stage("x", "a test", [[sys.executable, "-c", program]], keeps="stage")
    return stage, lambda: trace.read_text().count("ran")


def test_a_stage_that_passed_runs_again_when_something_changed_or_all_is_asked(tree, capsys):
    stage, runs = traced(tree, 0)
    for everything, expected in ((True, 1), (False, 1), (True, 2), (False, 2)):
        assert verify.verify([stage], tree / "_build", everything=everything) == 0
        assert runs() == expected
    out = capsys.readouterr().out
    assert out.count("x          passed") == 4
    assert out.count("make test ALL=1") == 2
    change_a_byte(tree / "requirements.txt")
    assert verify.verify([stage], tree / "_build", everything=False) == 0
    assert runs() == 3


def test_a_stage_that_failed_runs_again(tree):
    stage, runs = traced(tree, 1)
    for expected in (1, 2):
        assert verify.verify([stage], tree / "_build", everything=False) == 1
        assert runs() == expected
