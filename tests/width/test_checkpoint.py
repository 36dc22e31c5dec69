"""The file of finished draws: cut, damaged, joined, and on a full disk."""

import os
import re
import signal
import subprocess
import sys
import zlib
from contextlib import closing

import numpy as np
import pytest

from helpers import run_python
from reluspec_lib.width import _checkpoint
from reluspec_lib.width._checkpoint import Checkpoint
from tools.settings import ROOT

SETTINGS = {"n": 3, "groups": ["<group 'norm'>"]}
RESULTS = {"0.0": [0.1, 1 / 3], "0.1": [5e-324, -0.0], "1.0": [1e300, float("nan")]}


def stored(path, settings=SETTINGS):
    """Return what a checkpoint holds."""
    with closing(Checkpoint(path, settings)) as checkpoint:
        return dict(checkpoint.results)


def make(path, results=RESULTS):
    with closing(Checkpoint(path, SETTINGS)) as checkpoint:
        for key, result in results.items():
            checkpoint.add(key, result)
    return path.read_bytes()


def test_numbers_are_stored_to_the_last_bit(tmp_path):
    make(tmp_path / "sweep")
    found = stored(tmp_path / "sweep")
    assert list(found) == list(RESULTS)
    for key, result in RESULTS.items():
        assert np.array(found[key]).tobytes() == np.array(result).tobytes()


def test_a_result_is_with_the_system_and_synced_before_add_returns(tmp_path, monkeypatch):
    path, seen = tmp_path / "sweep", []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(path.read_bytes()))
    make(path)
    # One line at a time, the first one the head.
    assert [len(content.splitlines()) for content in seen] == [1, 2, 3, 4]
    assert all(content.endswith(b"\n") for content in seen)


def test_the_form_of_the_file_does_not_change():
    text = b'{"key": "0.0", "result": [0.5, 1.0]}'
    expected = b"%s %08x\n" % (text, zlib.crc32(text))
    assert _checkpoint._line({"result": [0.5, 1.0], "key": "0.0"}) == expected


def test_what_was_added_is_held(tmp_path):
    with closing(Checkpoint(tmp_path / "sweep", SETTINGS)) as checkpoint:
        checkpoint.add("0.0", [0.5])
        assert checkpoint.results == {"0.0": [0.5]}


def test_a_refusal_names_the_file_and_the_way_out(tmp_path):
    make(tmp_path / "sweep")
    expected = (
        f"checkpoint {str(tmp_path / 'sweep')!r} cannot be continued: it was made with n = 3, now "
        "n = 4; give another path, or remove the file to start again"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        stored(tmp_path / "sweep", SETTINGS | {"n": 4})


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"no end of line", "it is not a checkpoint"),
        (b"no end of its line\n", "it is damaged"),
        (_checkpoint._line({"format": "another"}), "its format is 'another', not 'reluspec"),
    ],
)
def test_what_is_no_checkpoint_is_refused_and_left_alone(content, reason, tmp_path):
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f" cannot be continued: {reason}"):
        stored(path)
    assert path.read_bytes() == content


def test_a_file_cut_anywhere_is_repaired(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    path = tmp_path / "sweep"
    content = make(path)
    ends = [k + 1 for k, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        complete = max(sum(end <= cut for end in ends) - 1, 0)
        assert list(stored(path)) == list(RESULTS)[:complete]
        # What was torn is gone, and the file goes on as if nothing had happened.
        rest = list(RESULTS)[complete:]
        assert make(path, {key: RESULTS[key] for key in rest}) == content


def test_nothing_of_a_torn_line_stays_behind_a_shorter_one(tmp_path):
    path = tmp_path / "sweep"
    path.write_bytes(make(path) + b"x" * 1000)
    make(path, {"1.1": [1.0]})
    assert list(stored(path)) == [*RESULTS, "1.1"]
    assert path.read_bytes() == make(tmp_path / "other", RESULTS | {"1.1": [1.0]})


def test_a_changed_byte_is_never_taken_for_a_result(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    path = tmp_path / "sweep"
    content = make(path)
    for k, byte in enumerate(content):
        number = content[:k].count(b"\n") + 1
        for flip in (1, 4, 128):
            path.write_bytes(content[:k] + bytes([byte ^ flip]) + content[k + 1 :])
            damaged = path.read_bytes()
            if k == len(content) - 1:
                # Without its end the last line counts as torn.
                assert list(stored(path)) == list(RESULTS)[:-1]
                continue
            where = "it" if number == 1 else f"line {number}"
            with pytest.raises(ValueError, match=rf"cannot be continued: {where} is damaged; give"):
                stored(path)
            assert path.read_bytes() == damaged


def test_files_of_one_sweep_may_be_joined(tmp_path):
    whole, path = make(tmp_path / "whole"), tmp_path / "joined"
    parts = [dict([*RESULTS.items()][:2]), dict([*RESULTS.items()][1:])]
    path.write_bytes(b"".join(make(tmp_path / f"part {k}", part) for k, part in enumerate(parts)))
    found = stored(path)
    assert list(found) == list(RESULTS)
    # Whoever goes on with it adds lines as always; of two results the first one counts.
    path.write_bytes(whole + make(tmp_path / "other", {"0.0": [7.0], "2.0": [3.0]}))
    found = stored(path)
    assert (found["0.0"], found["2.0"]) == (RESULTS["0.0"], [3.0])


def test_files_of_different_sweeps_joined_are_refused(tmp_path):
    path = tmp_path / "joined"
    with closing(Checkpoint(path, SETTINGS | {"n": 4})) as checkpoint:
        checkpoint.add("0.0", [1.0])
    path.write_bytes(make(tmp_path / "sweep") + path.read_bytes())
    with pytest.raises(ValueError, match=r"cannot be continued: it was made with n = 4, now n = 3"):
        stored(path)


@pytest.mark.parametrize(
    "content, reason",
    [
        ({"key": "0.0"}, "line 4 is no result"),
        ({"result": [1.0]}, "line 4 is no result"),
        ({}, "line 4 is no result"),
        ([1, 2], "line 4 is damaged"),
        ({"format": _checkpoint._FORMAT}, r"it was made with \w+ = None, now"),
    ],
)
def test_what_is_no_result_is_refused_in_spite_of_its_checksum(content, reason, tmp_path):
    path = tmp_path / "sweep"
    lines = make(path).splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], _checkpoint._line(content), *lines[3:]]))
    with pytest.raises(ValueError, match=rf"cannot be continued: {reason}"):
        stored(path)


def test_a_missing_line_loses_that_result_only(tmp_path):
    path = tmp_path / "sweep"
    kept = make(path).splitlines(keepends=True)
    path.write_bytes(b"".join(kept[:2] + kept[3:]))
    assert list(stored(path)) == ["0.0", "1.0"]


def test_an_empty_file_is_a_checkpoint_that_was_not_begun(tmp_path):
    (tmp_path / "sweep").touch()
    assert make(tmp_path / "sweep") == make(tmp_path / "other")


FULL_DISK = """
import resource, signal, sys
from reluspec_lib.width._checkpoint import Checkpoint

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
checkpoint = Checkpoint(sys.argv[1], {"n": 3})
for k in range(100):
    try:
        checkpoint.add(str(k), [k / 3])
    except OSError:
        break
print(*checkpoint.results)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="Unix only: limits of files")
def test_a_full_disk_loses_no_result_that_was_taken(tmp_path):
    taken = run_python(FULL_DISK, tmp_path / "sweep").split()
    assert list(stored(tmp_path / "sweep", {"n": 3})) == taken
    assert 1 < len(taken) < 100


HOLDER = """
import sys
from reluspec_lib.width._checkpoint import Checkpoint
checkpoint = Checkpoint(sys.argv[1], {"n": 3})
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Unix only: locks")
def test_a_file_in_use_by_another_process_is_refused(tmp_path):
    command, pipe = [sys.executable, "-c", HOLDER, tmp_path / "sweep"], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout.readline() == "open\n"
        reason = "cannot be continued: another process is writing to it; give another path"
        with pytest.raises(ValueError, match=reason):
            stored(tmp_path / "sweep", {"n": 3})
        process.communicate()
    assert stored(tmp_path / "sweep", {"n": 3}) == {}
