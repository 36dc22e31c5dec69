"""Stored runs: read from beside the notebook, and said where they are if they are not."""

import pytest

import reluspec_lib
from reluspec_lib.record import runs


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
