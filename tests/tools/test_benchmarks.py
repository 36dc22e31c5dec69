"""The benchmark harness, and that the stored results say where they come from."""

import json
from pathlib import Path

import pytest

from benchmarks import harness


def test_a_ratio_is_that_of_neighbouring_runs(monkeypatch):
    # The warm-up, then three pairs on a machine that slows down.
    times = iter([9.0, 2.0, 1.0, 4.0, 2.0, 9.0, 3.0])
    monkeypatch.setattr(harness, "seconds", lambda task: next(times))
    figures = harness.compare(lambda: None, lambda: None, pairs=3)
    assert (figures["ratio_min"], figures["ratio"], figures["ratio_max"]) == (2.0, 2.0, 3.0)
    assert (figures["seconds"], figures["other_seconds"]) == (4.0, 2.0)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux only")
def test_memory_counts_what_a_task_needs_beyond_its_inputs():
    def prepare():
        kept = bytearray(b"1" * 50_000_000)
        return lambda: b"1" * (len(kept) * 2 // 5)

    assert harness.extra_memory(prepare) == pytest.approx(20_000_000 / 2**20, rel=0.2)


@pytest.mark.parametrize("path", sorted(harness.RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_stored_results_name_the_machine_and_the_versions(path):
    content = json.loads(path.read_text())
    assert content["rows"]
    assert content["machine"]["processor"]
    assert {"numpy", "scipy"} <= content["machine"]["versions"].keys()
