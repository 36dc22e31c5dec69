"""The benchmark harness, and that the stored results say where they come from."""

import json
from pathlib import Path

import pytest

from benchmarks import coefficients, fisher, forward, harness


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


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux only")
def test_a_result_comes_back_from_its_own_process():
    size = 2_000_000  # more than a pipe holds
    assert harness.apart(lambda: lambda: b"1" * size)[0] == b"1" * size


def test_rows_of_cases_that_were_not_measured_stay(monkeypatch, tmp_path):
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    cases = [{"case": "a", "seconds": 1.0}, {"case": "b", "seconds": 2.0}]
    harness.store("some", cases)
    harness.store("some", [{"case": "a", "seconds": 3.0}], kept=True)
    found = json.loads((tmp_path / "some.json").read_text())["rows"]
    assert found == [{"case": "b", "seconds": 2.0}, {"case": "a", "seconds": 3.0}]
    monkeypatch.setattr(harness, "machine", lambda: {"processor": "another"})
    with pytest.raises(ValueError, match="measure all"):
        harness.store("some", cases, kept=True)


def test_cases_are_known_by_name(monkeypatch):
    called, stored = [], []
    for name in fisher.CASES:
        monkeypatch.setitem(fisher.CASES, name, lambda name=name: called.append(name))
    monkeypatch.setattr(fisher, "store", lambda *_, kept: stored.append(kept))
    fisher.main(["widest"])
    fisher.main([])
    assert (called, stored) == (["widest", *fisher.CASES], [True, False])
    with pytest.raises(SystemExit):
        fisher.main(["largest"])


@pytest.mark.parametrize("path", sorted(harness.RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_stored_results_name_the_machine_and_the_versions(path):
    content = json.loads(path.read_text())
    assert content["rows"]
    assert content["machine"]["processor"]
    assert {"numpy", "scipy"} <= content["machine"]["versions"].keys()


def test_growth_is_fitted_to_the_largest_sizes():
    rows = [
        {"of": name, name: size, "seconds": 9.0 if size < 10 else size**power}
        for name, power in {"m": 1, "n": 1.5, "d": 0.5, "K": 2}.items()
        for size in (1, 10, 20, 80)
    ]
    found = {row["of"]: row for row in forward.exponents(rows)}
    assert [found[name]["exponent"] for name in "mndK"] == pytest.approx([1, 1.5, 0.5, 2])
    assert (found["m"]["smallest"], found["m"]["largest"]) == (10, 80)


def test_the_fastest_task_is_the_one_with_the_least_time(monkeypatch):
    times = iter([3.0, 4.0, 5.0, 2.0, 3.0, 3.0])
    monkeypatch.setattr(forward, "seconds", lambda task: next(times))
    tasks = [lambda: 0, lambda: 1, lambda: 2]
    assert forward.fastest(tasks) is tasks[1]


def test_the_bare_products_cover_all_tiles(monkeypatch):
    x, W, _ = forward.data(3, 70, 50, 2)
    seen = []
    product = forward.np.matmul

    def counted(a, b, out):
        seen.append(out.size)
        return product(a, b, out=out)

    monkeypatch.setattr(forward.np, "matmul", counted)
    forward.bare(x, W, shape=(20, 30))()
    assert sum(seen) == 50 * 70


@pytest.mark.parametrize("case", coefficients.INTEGRANDS)
@pytest.mark.parametrize("solver", coefficients.SOLVERS)
def test_general_quadrature_is_asked_for_what_the_library_gives(case, solver):
    integrand = coefficients.INTEGRANDS[case][solver]
    found = coefficients.SOLVERS[solver](integrand, 4, 2)
    assert found == pytest.approx(coefficients.library(case, 4, 2), rel=1e-11)
