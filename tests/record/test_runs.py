"""Stored runs: computed in one arithmetic, read from beside the notebook or said where they are."""

import os
import sys

import pytest

import reluspec_lib
from reluspec_lib.record import runs
from tools import stored_runs
from tools.settings import STARTED, pinned


def test_a_stored_run_is_read_as_utf_8(tmp_path):
    path = tmp_path / "run.json"
    path.write_bytes('{"rows": [1.5], "error": "± 2"}'.encode())
    assert runs.load(path) == runs.load(str(path)) == {"rows": [1.5], "error": "± 2"}


def test_a_missing_run_says_where_it_is_to_be_had():
    with pytest.raises(FileNotFoundError) as raised:
        runs.load("table.json")
    assert str(raised.value) == (
        "table.json is not beside this notebook: it is in "
        f"reluspec-{reluspec_lib.__version__}.zip, which the first page of the book links to; "
        "unpack it and open the notebook there"
    )


@pytest.mark.parametrize("arithmetic", [{}, {"OPENBLAS_CORETYPE": "Haswell"}])
def test_a_run_to_be_stored_starts_twice_and_then_computes(monkeypatch, arithmetic):
    """First without the settings of a shell, then in the arithmetic that the processor can do."""
    monkeypatch.setattr(os, "environ", {"OPENBLAS_CORETYPE": "Nehalem", "HOME": "here"})
    monkeypatch.setattr(sys, "argv", ["table_1.py", "--workers", "1"])
    monkeypatch.setattr(stored_runs, "stored_arithmetic", lambda: arithmetic)
    started = []

    class Started(Exception):
        pass

    def execve(program, command, variables):
        assert (program, command[0]) == (sys.executable, sys.executable)
        assert command[1:] == ["-m", "tools.table_1", "--workers", "1"]
        started.append(variables)
        monkeypatch.setattr(os, "environ", variables | {"KMP_SET_BY_AN_IMPORT": "1"})
        raise Started

    monkeypatch.setattr(os, "execve", execve)
    for _ in range(2):
        with pytest.raises(Started):
            stored_runs.in_stored_arithmetic("tools.table_1")
    stored_runs.in_stored_arithmetic("tools.table_1")
    clean = pinned() | {"HOME": "here", STARTED: "clean"}
    assert started == [clean, clean | arithmetic | {STARTED: "clean stored"}]
